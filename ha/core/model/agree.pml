/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the nodes come to hold one state: rounds and promises (round.c), orders and acknowledgements (order.c), what is on a disk and what
 * is not (save.c). owner.pml takes it for granted that there is one state which changes at once; here is why it may.
 *
 * A message is there once it was sent, for everybody, for good: each node takes it at any time later, or never. So nothing depends on CPG's
 * order, on who is cut off from whom, or on how late a disk is. A node that crashes goes on with what is on its disk, and never again in
 * a round it was in. The state is the list of what was ordered: who did it in which round.
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef TERMS
#define TERMS 2
#endif
#ifndef VERSIONS
#define VERSIONS 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define LEADERS 2 /* the others do not begin rounds */
#define MAJORITY (NODES / 2 + 1)
#ifdef BUG_ONE_ACK_COMMITS
#define COMMITS 1
#else
#define COMMITS MAJORITY
#endif

#define ROUND(t, l) ((t) * LEADERS + (l)) /* terms from 1 */
#define DIGEST(t, n) ((t) * NODES + (n))
#define ORDERED(r) (r)
#define INSTALLED(r) (100 + (r))

typedef state_t {
	byte promised, term, version;
	byte list[VERSIONS + 1]; /* by version */
};

typedef digest_t {
	byte to; /* leader + 1; 0: not sent */
	byte term, version;
	byte list[VERSIONS + 1];
};

typedef round_t {
	bit begun, has_install, takes_part[NODES];
	byte version; /* INSTALL: of the source, */
	byte list[VERSIONS + 1];
	bit ordered[VERSIONS + 1];
	byte acked[NODES];
};

state_t memory[NODES], disk[NODES];
byte in_term[NODES], in_lead[NODES]; /* the round it is in, leader + 1; 0: none */
bit installed[NODES];
digest_t digests[(TERMS + 1) * NODES];
round_t rounds[(TERMS + 1) * LEADERS];
byte crashes;
/* What was ever committed, by version. */
byte committed[VERSIONS + 1];

hidden byte k, m, r, best, votes;

inline copy_state(to, from)
{
	to.promised = from.promised;
	to.term = from.term;
	to.version = from.version;
	for (k : 1 .. VERSIONS) {
		to.list[k] = from.list[k]
	}
}

/* A majority has acknowledged version m of the round, which is not below its install: what it holds there is so for good. */
inline commit(n)
{
	for (m : 1 .. VERSIONS) {
		votes = 0;
		for (k : 0 .. NODES - 1) {
			votes = votes + (rounds[r].acked[k] >= m)
		}
		if
		:: votes >= COMMITS && m <= memory[n].version ->
			assert(!committed[m] || committed[m] == memory[n].list[m]); /* the one thing that must not be otherwise */
			committed[m] = memory[n].list[m]
		:: else
		fi
	}
}

#define IS_ON_DISK(n) (disk[n].promised == memory[n].promised && disk[n].term == memory[n].term && disk[n].version == memory[n].version)
#define LEADS(n) (n < LEADERS && in_lead[n] == n + 1)
#define MY_ROUND(n) ROUND(in_term[n], in_lead[n] - 1)

/* DIGEST, once in a round, or ACK. What is said at once is taken later or never: to say it later adds nothing. */
inline speak(n)
{
	if
	:: in_term[n] && !installed[n] && digests[DIGEST(in_term[n], n)].to != in_lead[n] ->
		r = DIGEST(in_term[n], n);
		digests[r].to = in_lead[n];
		digests[r].term = memory[n].term;
		digests[r].version = memory[n].version;
		for (k : 1 .. VERSIONS) {
			digests[r].list[k] = memory[n].list[k]
		}
	:: in_term[n] && installed[n] && rounds[MY_ROUND(n)].acked[n] < memory[n].version ->
		r = MY_ROUND(n);
		rounds[r].acked[n] = memory[n].version;
		commit(n)
	:: else
	fi
}

#ifdef BUG_SPEAKS_BEFORE_IT_IS_DURABLE
#define CHANGED(n) speak(n)
#else
#define CHANGED(n) skip
#endif

/* It promises; of a term once. Node 0 alone begins the first, both the others. */
#ifdef BUG_SAME_TERM_AGAIN
#define IS_NEW(n, t, l) (t > memory[n].promised || (t == memory[n].promised && in_lead[n] != l + 1))
#else
#define IS_NEW(n, t, l) (t > memory[n].promised)
#endif
#define PROMISE(n, t, l)                                                                                                                 \
	:: d_step { rounds[ROUND(t, l)].begun && IS_NEW(n, t, l) ->                                                                         \
		memory[n].promised = t; in_term[n] = t; in_lead[n] = l + 1; installed[n] = 0; CHANGED(n); skip }
#define BEGIN(n, t) :: d_step { memory[n].promised < t && !rounds[ROUND(t, n)].begun && IS_ON_DISK(n) -> rounds[ROUND(t, n)].begun = 1 }

/* The highest (term, version) of those who have answered, if they are enough. */
inline look_for_source(n)
{
	votes = 0;
	best = NODES;
	for (k : 0 .. NODES - 1) {
		m = DIGEST(in_term[n], k);
		if
		:: digests[m].to != n + 1
		:: else ->
			votes++;
			if
			:: best == NODES -> best = k
#ifdef BUG_LOWEST_TERM
			:: best != NODES && digests[m].term < digests[DIGEST(in_term[n], best)].term -> best = k
#else
			:: best != NODES && (digests[m].term > digests[DIGEST(in_term[n], best)].term ||
					     (digests[m].term == digests[DIGEST(in_term[n], best)].term &&
					      digests[m].version > digests[DIGEST(in_term[n], best)].version)) -> best = k
#endif
			:: else
			fi
		fi
	}
}

inline install(n)
{
	m = DIGEST(in_term[n], best);
	rounds[r].has_install = 1;
	rounds[r].version = digests[m].version;
	for (k : 1 .. VERSIONS) {
		rounds[r].list[k] = digests[m].list[k]
	}
	for (k : 0 .. NODES - 1) {
		rounds[r].takes_part[k] = (digests[DIGEST(in_term[n], k)].to == n + 1)
	}
}

proctype node(byte n)
{
	do
	:: d_step { !IS_ON_DISK(n) -> copy_state(disk[n], memory[n]); speak(n); skip }
	PROMISE(n, 1, 0)
	PROMISE(n, 2, 0)
	PROMISE(n, 2, 1)
#if TERMS > 2
	PROMISE(n, 3, 0)
	PROMISE(n, 3, 1)
#endif
	:: d_step { LEADS(n) && !rounds[MY_ROUND(n)].has_install && digests[DIGEST(in_term[n], n)].to == n + 1 ->
		r = MY_ROUND(n);
		look_for_source(n);
		if
		:: votes >= MAJORITY -> install(n)
		:: else
		fi;
		skip }
	:: d_step { in_term[n] && !installed[n] && rounds[MY_ROUND(n)].takes_part[n] && rounds[MY_ROUND(n)].version < VERSIONS && IS_ON_DISK(n) ->
		r = MY_ROUND(n);
		installed[n] = 1;
		memory[n].term = in_term[n];
		memory[n].version = rounds[r].version + 1;
		for (k : 1 .. VERSIONS) {
			memory[n].list[k] = (k <= rounds[r].version -> rounds[r].list[k] : 0)
		}
		memory[n].list[memory[n].version] = INSTALLED(r);
		CHANGED(n);
		skip }
	/* ORDER: the leader's own way to it is as that of the others. */
	:: d_step { in_term[n] && installed[n] && memory[n].version < VERSIONS && (LEADS(n) || rounds[MY_ROUND(n)].ordered[memory[n].version + 1]) ->
		memory[n].version++;
		rounds[MY_ROUND(n)].ordered[memory[n].version] = 1;
		memory[n].list[memory[n].version] = ORDERED(MY_ROUND(n));
		CHANGED(n);
		skip }
	:: d_step { crashes < CRASHES && (in_term[n] || !IS_ON_DISK(n)) ->
		crashes++;
		copy_state(memory[n], disk[n]);
#ifdef BUG_PROMISE_IS_FORGOTTEN
		memory[n].promised = memory[n].term;
		disk[n].promised = disk[n].term;
#endif
		in_term[n] = 0;
		in_lead[n] = 0;
		installed[n] = 0 }
	od
}

/* BEGIN, above what it has promised; lost and late like all else. */
proctype beginner()
{
	do
	BEGIN(0, 1)
	BEGIN(0, 2)
	BEGIN(1, 2)
#if TERMS > 2
	BEGIN(0, 3)
	BEGIN(1, 3)
#endif
	od
}

init {
	atomic {
		for (k : 0 .. NODES - 1) {
			run node(k)
		}
		run beginner()
	}
}
