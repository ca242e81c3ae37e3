/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may open a group: the rules of settle.c, commands.c, replica.c, local.c and watch.c for one group on shared storage (no
 * copy that could be old, and nothing but the gates keeps nodes apart). Nodes 0 and 1 can serve it, further ones only vote.
 * The agreed state is one variable that changes at once: that it may be taken so (rounds, terms, commits) is what agree.pml is
 * about. Nodes act on the last state they have seen, however old it is.
 *
 * Each step below may be late by any number of others: what a node is told, a job, a fence agent, the loss of quorum.
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define MAJORITY (NODES / 2 + 1)

#define FREE 0
#define ACQUIRING 1
#define OWNED 2
#define RELEASING 3
#define ORPHANED 4

typedef state_t {
	byte phase;
	byte owner;
	byte epoch;
	bit up[NODES];
	bit evidence[NODES];
	byte down_seq[NODES];
};

state_t agreed;
/* What a node has seen of it, and what it makes of that. */
byte seen_phase[NODES], seen_owner[NODES], seen_epoch[NODES];
byte job[NODES];       /* 0, ACQUIRING or RELEASING: runs */
byte job_epoch[NODES];
byte started[NODES];   /* the epoch of the last ACQUIRE */
byte answer[NODES];    /* what is answered (ACQUIRING, RELEASING), 0: nothing, */
byte answer_epoch[NODES]; /* and for which epoch */
bit closing[NODES];    /* a STAND_DOWN came while a job runs */
bit gate[NODES];
/* The world. */
bit power[NODES], cut[NODES], quorate[NODES];
bit fencing[NODES], killed[NODES]; /* a fence agent is at work against it; has done it */
byte fence_seq[NODES];

/* Not part of the state. */
hidden byte k, present, different;

#define HERE(n) (power[n] && !cut[n])
#define IS_AT(n) (agreed.owner == (n) && agreed.phase >= ACQUIRING && agreed.phase <= RELEASING)
#define IS_MINE(n) (seen_owner[n] == (n) && seen_phase[n] >= ACQUIRING && seen_phase[n] <= RELEASING)

inline count_here()
{
	present = 0;
	for (k : 0 .. NODES - 1) {
		present = present + HERE(k);
	}
}

/* Places a group that nobody serves (settle_group()); which of two candidates is left open. */
inline settle()
{
	if
	:: agreed.epoch < EPOCHS && (agreed.phase == FREE ||
#ifdef BUG_NO_EVIDENCE
	   agreed.phase == ORPHANED) ->
#else
	   (agreed.phase == ORPHANED && agreed.evidence[agreed.owner])) ->
#endif
		if
		:: agreed.up[0] -> agreed.owner = 0; agreed.phase = ACQUIRING; agreed.epoch++
		:: agreed.up[1] -> agreed.owner = 1; agreed.phase = ACQUIRING; agreed.epoch++
		:: else
		fi
	:: else
	fi
}

/* Those who are together install a view (replica_install()). */
inline install()
{
	for (k : 0 .. NODES - 1) {
		if
		:: !HERE(k) && agreed.up[k] ->
			agreed.up[k] = 0;
			agreed.evidence[k] = 0;
			agreed.down_seq[k]++;
			if
			:: IS_AT(k) -> agreed.phase = ORPHANED
			:: else
			fi
		:: else
		fi
	}
	for (k : 0 .. NODES - 1) {
		if
		:: HERE(k) && !agreed.up[k] ->
			if
			:: agreed.phase == ORPHANED && agreed.owner == k ->
				agreed.phase = (agreed.evidence[k] -> RELEASING : ACQUIRING);
				agreed.epoch++
			:: else
			fi;
			agreed.up[k] = 1;
			agreed.evidence[k] = 0
		:: else
		fi
	}
	settle()
}

inline needs_install()
{
	different = 0;
	for (k : 0 .. NODES - 1) {
		different = different || (HERE(k) != agreed.up[k]);
		different = different && agreed.down_seq[k] < 7;
	}
}

inline forget(n)
{
	job[n] = 0;
	job_epoch[n] = 0;
	answer[n] = 0;
	answer_epoch[n] = 0;
	closing[n] = 0;
	started[n] = 0
}

proctype cluster()
{
	byte deaths, cuts;

	do
	:: atomic {
		count_here();
		needs_install();
		if
		:: present >= MAJORITY && different && agreed.epoch < EPOCHS -> install()
		:: else
		fi
	   }
	/* An operator moves it: released first. */
	:: atomic { agreed.phase == OWNED && agreed.up[0] && agreed.up[1] && agreed.epoch < EPOCHS ->
#ifdef BUG_NO_RELEASE
		agreed.owner = 1 - agreed.owner; agreed.phase = ACQUIRING; agreed.epoch++
#else
		agreed.phase = RELEASING
#endif
	   }
	/* Trouble, as much as DEATHS allows of each kind. */
	:: atomic { deaths < DEATHS ->
		deaths++;
		if
		:: power[0] -> k = 0
		:: power[1] -> k = 1
		fi;
		power[k] = 0; gate[k] = 0; quorate[k] = 0; forget(k)
	   }
	:: atomic { !power[0] -> power[0] = 1; seen_phase[0] = FREE }
	:: atomic { !power[1] -> power[1] = 1; seen_phase[1] = FREE }
	:: atomic { cuts < DEATHS -> cuts++; if :: !cut[0] -> cut[0] = 1 :: !cut[1] -> cut[1] = 1 fi }
	:: cut[0] -> cut[0] = 0
	:: cut[1] -> cut[1] = 0
	od
}

/* Whoever is lowest has it fenced; the agent may be slow, and its answer slower. */
proctype fencer(byte n)
{
	do
	:: atomic { !fencing[n] && !agreed.up[n] && !agreed.evidence[n] && agreed.phase == ORPHANED && agreed.owner == n ->
		fencing[n] = 1; killed[n] = 0; fence_seq[n] = agreed.down_seq[n] }
	:: atomic { fencing[n] && !killed[n] ->
		killed[n] = 1;
#ifndef BUG_LIE
		power[n] = 0; gate[n] = 0; quorate[n] = 0;
		forget(n)
#endif
	   }
	:: atomic { fencing[n] && killed[n] -> /* EVIDENCE (evidence_check()) */
		fencing[n] = 0; killed[n] = 0;
		if
#ifdef BUG_OLD_EVIDENCE
		:: !agreed.up[n] && !agreed.evidence[n] ->
#else
		:: !agreed.up[n] && !agreed.evidence[n] && agreed.down_seq[n] == fence_seq[n] ->
#endif
			agreed.evidence[n] = 1;
			settle()
		:: else
		fi
	   }
	:: atomic { fencing[n] && !killed[n] -> fencing[n] = 0; fence_seq[n] = 0 } /* it fails */
	od
}

proctype node(byte n)
{
	do
	/* It is told: the newest state only, since it looks at levels. */
	:: atomic { HERE(n) && agreed.up[n] && (seen_phase[n] != agreed.phase || seen_owner[n] != agreed.owner ||
						seen_epoch[n] != agreed.epoch || !quorate[n]) ->
		quorate[n] = 1; seen_phase[n] = agreed.phase; seen_owner[n] = agreed.owner; seen_epoch[n] = agreed.epoch }
	/* It hears, some time, that it has no quorum. */
	:: atomic { power[n] && cut[n] && quorate[n] -> quorate[n] = 0 }

	/* Duties (local.c). */
	:: atomic { power[n] && quorate[n] && !job[n] && !closing[n] && seen_owner[n] == n && seen_phase[n] == ACQUIRING &&
		    started[n] != seen_epoch[n] ->
		job[n] = ACQUIRING; job_epoch[n] = seen_epoch[n]; started[n] = seen_epoch[n]; answer[n] = 0; answer_epoch[n] = 0 }
	:: atomic { power[n] && quorate[n] && !job[n] && !closing[n] && seen_owner[n] == n && seen_phase[n] == RELEASING &&
		    (answer[n] != RELEASING || answer_epoch[n] != seen_epoch[n]) ->
		job[n] = RELEASING; job_epoch[n] = seen_epoch[n]; answer[n] = 0; answer_epoch[n] = 0 }
	:: atomic { power[n] && job[n] == ACQUIRING -> /* ends well */
		if
		:: closing[n]
		:: else ->
			assert(!gate[1 - n]); /* the one thing that must not be */
			gate[n] = 1;
			answer[n] = ACQUIRING;
			answer_epoch[n] = job_epoch[n]
		fi;
		job[n] = 0;
		job_epoch[n] = 0 }
	:: atomic { power[n] && job[n] == RELEASING -> gate[n] = 0; answer[n] = RELEASING; answer_epoch[n] = job_epoch[n]; job[n] = 0; job_epoch[n] = 0 }
	/* Must close: not its own, or no quorum. While a job runs the gate is closed at once, and again when it has ended. */
	:: atomic { power[n] && (!quorate[n] || !IS_MINE(n)) && (gate[n] || job[n]) && !closing[n] ->
		closing[n] = 1;
		gate[n] = 0 }
	:: atomic { power[n] && closing[n] && !job[n] -> gate[n] = 0; closing[n] = 0; answer[n] = 0; answer_epoch[n] = 0 }

	/* Answers: taken only for the epoch they are for. */
	:: atomic { HERE(n) && agreed.up[n] && answer[n] == ACQUIRING && agreed.owner == n && agreed.phase == ACQUIRING && seen_phase[n] == ACQUIRING &&
		    answer_epoch[n] == agreed.epoch ->
		agreed.phase = OWNED }
	:: atomic { HERE(n) && agreed.up[n] && answer[n] == RELEASING && agreed.owner == n && agreed.phase == RELEASING && seen_phase[n] == RELEASING &&
		    agreed.epoch < EPOCHS &&
		    answer_epoch[n] == agreed.epoch ->
		agreed.phase = FREE;
		settle() }
	/* LOST: it has had to close, and has. */
	:: atomic { HERE(n) && agreed.up[n] && quorate[n] && agreed.owner == n && agreed.epoch < EPOCHS && !gate[n] && !job[n] && !closing[n] &&
		    (agreed.phase == OWNED || (agreed.phase == ACQUIRING && started[n] == agreed.epoch && !answer[n])) ->
		agreed.epoch++; agreed.phase = ACQUIRING }
	od
}

init {
	atomic {
		for (k : 0 .. NODES - 1) {
			power[k] = 1;
			agreed.up[k] = 1;
			quorate[k] = 1
		}
		agreed.phase = ACQUIRING;
		agreed.owner = 0;
		agreed.epoch = 1;
		run cluster();
		run fencer(0);
		run fencer(1);
		run node(0);
		run node(1)
	}
}
