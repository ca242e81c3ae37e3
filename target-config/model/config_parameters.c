// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What hosts negotiate with a target, and how long it waits for them: LIO's names, bounds and defaults (iscsi_target_parameters.c,
 * iscsi_target_core.h).
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

#define LENGTH_MAX 16777215 /* 24 bits: RFC 7143, 13.12 to 13.14 */
#define NUMBER(least, most) .min = least, .max = most
#define ONE_OF(list) .words = list

#define PARAMETERS(X)                                                                                                  \
	X(HEADER_DIGEST, "HeaderDigest", ONE_OF(digests), "CRC32C,None", PARAM)                                        \
	X(DATA_DIGEST, "DataDigest", ONE_OF(digests), "CRC32C,None", PARAM)                                            \
	X(INITIAL_R2T, "InitialR2T", ONE_OF(yes_no), "Yes", PARAM)                                                     \
	X(IMMEDIATE_DATA, "ImmediateData", ONE_OF(yes_no), "Yes", PARAM)                                               \
	X(FIRST_BURST_LENGTH, "FirstBurstLength", NUMBER(512, LENGTH_MAX), "65536", PARAM)                             \
	X(MAX_BURST_LENGTH, "MaxBurstLength", NUMBER(512, LENGTH_MAX), "262144", PARAM)                                \
	X(MAX_RECV, "MaxRecvDataSegmentLength", NUMBER(512, LENGTH_MAX), "8192", PARAM)                                \
	X(MAX_XMIT, "MaxXmitDataSegmentLength", NUMBER(512, LENGTH_MAX), "262144", PARAM)                              \
	X(MAX_OUTSTANDING_R2T, "MaxOutstandingR2T", NUMBER(1, 65535), "1", PARAM)                                      \
	X(MAX_CONNECTIONS, "MaxConnections", NUMBER(1, 65535), "1", PARAM)                                             \
	X(ERROR_RECOVERY_LEVEL, "ErrorRecoveryLevel", NUMBER(0, 2), "0", PARAM)                                        \
	X(TIME_TO_WAIT, "DefaultTime2Wait", NUMBER(0, 3600), "2", PARAM)                                               \
	X(TIME_TO_RETAIN, "DefaultTime2Retain", NUMBER(0, 3600), "20", PARAM)                                          \
	X(LOGIN_TIMEOUT, "login_timeout", NUMBER(5, 30), "15", TPG_ATTRIB)                                             \
	X(NOPIN_TIMEOUT, "nopin_timeout", NUMBER(3, 60), "15", ACL_ATTRIB)                                             \
	X(NOPIN_RESPONSE_TIMEOUT, "nopin_response_timeout", NUMBER(3, 60), "30", ACL_ATTRIB)                           \
	X(DATAOUT_TIMEOUT, "dataout_timeout", NUMBER(2, 60), "3", ACL_ATTRIB)                                          \
	X(DATAOUT_TIMEOUT_RETRIES, "dataout_timeout_retries", NUMBER(1, 15), "5", ACL_ATTRIB)

enum {
#define X(id, ...) PARAMETER_##id,
	PARAMETERS(X)
#undef X
	PARAMETERS_END,
};
static_assert(PARAMETERS_END == CONFIG_PARAMETERS, "config.h");

static const char *const digests[] = { "None", "CRC32C", "CRC32C,None", "None,CRC32C", NULL }; /* the first that both know */
static const char *const yes_no[] = { "No", "Yes", NULL };

const struct config_parameter *config_parameter(size_t i)
{
	static const struct config_parameter list[] = {
#define X(id, text, values, usual, where) { .name = text, .fallback = usual, .place = CONFIG_PARAMETER_##where },
		PARAMETERS(X)
#undef X
	};

	return &list[i];
}

const struct config_parameter *config_parameter_by_name(const char *name)
{
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		if (strcmp(config_parameter(i)->name, name) == 0)
			return config_parameter(i);
	}
	return NULL;
}

const char *config_target_parameter(const struct config_target *target, size_t i)
{
	return target->parameters[i] ?: config_parameter(i)->fallback;
}

/* --- reading and printing ---*/

static int read_parameter(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	char **text = where;
	uint32_t number = 0;
	unsigned int word;
	int rc = 0;

	if (key->words == yes_no && !json_is_boolean(value))
		return reader_refuse(r, -EINVAL, "must be true or false");
	if (key->words == yes_no) {
		*text = xstrdup(yes_no[json_is_true(value)]);
	} else if (key->words) {
		rc = reader_word(r, key, value, &word);
		if (rc == 0)
			*text = xstrdup(key->words[word]);
	} else {
		rc = reader_u32(r, key, value, &number);
		if (rc == 0)
			*text = xasprintf("%" PRIu32, number);
	}
	return rc;
}

static const struct reader_key keys[] = {
#define X(id, text, values, usual, where) { .name = text, .read = read_parameter, .offset = PARAMETER_##id * sizeof(char *), values },
	PARAMETERS(X)
#undef X
};

int config_read_parameters(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, CONFIG_KEYS(keys), where);
}

json_t *config_parameter_json(size_t i, const char *text)
{
	const struct reader_key *key = &keys[i];
	char *end;
	unsigned long number;

	for (size_t word = 0; key->words && key->words[word]; word++) {
		if (strcmp(key->words[word], text) == 0)
			return key->words == yes_no ? json_boolean(word) : json_string(text);
	}
	if (key->words || *text < '0' || *text > '9')
		return NULL;
	number = strtoul(text, &end, 10);
	return *end || number < (unsigned long)key->min || number > (unsigned long)key->max ? NULL : json_integer((json_int_t)number);
}

/* RFC 7143, 13.14: the first may not be longer than all of them. */
int config_check_parameters(struct reader *r, const struct config_target *target)
{
	const char *first = config_target_parameter(target, PARAMETER_FIRST_BURST_LENGTH);
	const char *most = config_target_parameter(target, PARAMETER_MAX_BURST_LENGTH);

	if (strtoul(first, NULL, 10) <= strtoul(most, NULL, 10))
		return 0;
	return reader_refuse_key(r, "parameters", "FirstBurstLength (%s) is more than MaxBurstLength (%s)", first, most);
}

void config_print_parameters(struct strbuf *sb, const struct config_target *target)
{
	bool any = false;

	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		const char *text = target->parameters[i];

		if (!text)
			continue;
		strbuf_addf(sb, "%s\"%s\": ", any ? ", " : ", \"parameters\": {", keys[i].name);
		if (keys[i].words == yes_no)
			strbuf_add(sb, strcmp(text, "Yes") == 0 ? "true" : "false");
		else
			strbuf_addf(sb, keys[i].words ? "\"%s\"" : "%s", text);
		any = true;
	}
	if (any)
		strbuf_add(sb, "}");
}
