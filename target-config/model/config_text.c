// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/model/config_text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target-config/model/config.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define HEX DIGIT "abcdef"

static bool is_made_of(const char *s, const char *accept)
{
	return s[strspn(s, accept)] == '\0';
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

/* --- names ---*/

const char *config_text_name(const char *s)
{
	if (strlen(s) > CONFIG_NAME_MAX)
		return "a name has at most 32 characters";
	if (!is_one_of(s[0], LOWER DIGIT) || !is_made_of(s, LOWER DIGIT "._-"))
		return "a name is made of a-z, 0-9, '.', '_', '-' and starts with a letter or digit";
	if (strstr(s, ".."))
		return "a name must not contain \"..\"";
	return NULL;
}

/* LVM keeps these for its own sub-volumes (lvm2, lib/misc/lvm-string.c, _lvname_has_reserved_string). */
static const char *reserved_by_lvm(const char *s)
{
	static const char *const reserved[] = {
		"_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare",
		"_rimage", "_rmeta", "_tdata", "_tmeta", "_tpool", "_vdata", "_vorigin", "_vpool", "_wcorig",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strstr(s, reserved[i]))
			return "LVM reserves a part of this name for itself (lvm(8), VALID NAMES); choose another";
	return NULL;
}

const char *config_text_volume(const char *s)
{
	const char *wrong = config_text_name(s) ?: reserved_by_lvm(s);

	if (wrong)
		return wrong;
	/* The gate "lunward-<volume>" would get the device-mapper name of a logical volume in volume group "lunward". */
	if (starts_with(s, "lunward-"))
		return "a volume's name must not start with \"lunward-\"; choose another";
	return NULL;
}

struct lvm_name_texts {
	const char *too_long, *odd, *dots;
};

#define LVM_NAME_TEXTS(what)                                                                                                           \
	{                                                                                                                              \
		what "'s name has at most 32 characters here",                                                                         \
		what "'s name is made of letters, digits, '+', '_', '.', '-' and starts with a letter, digit or '_'",                  \
		what "'s name must not contain \"..\"",                                                                                \
	}

/* One that an administrator gave to something of LVM. */
static const char *lvm_name(const char *s, const struct lvm_name_texts *texts)
{
	if (strlen(s) > CONFIG_NAME_MAX)
		return texts->too_long;
	if (!is_one_of(s[0], LOWER UPPER DIGIT "_") || !is_made_of(s, LOWER UPPER DIGIT "+_.-"))
		return texts->odd;
	return strstr(s, "..") ? texts->dots : NULL;
}

const char *config_text_vg(const char *s)
{
	static const struct lvm_name_texts texts = LVM_NAME_TEXTS("a volume group");

	return lvm_name(s, &texts);
}

const char *config_text_thin_pool(const char *s)
{
	static const struct lvm_name_texts texts = LVM_NAME_TEXTS("a thin pool");
	const char *wrong = lvm_name(s, &texts);

	if (wrong)
		return wrong;
	if (starts_with(s, "lunward"))
		return "a thin pool's name must not start with \"lunward\", as the volumes in it do";
	return reserved_by_lvm(s);
}

const char *config_text_interface(const char *s)
{
	if (strlen(s) > 15) /* IFNAMSIZ with its NUL */
		return "a network interface's name has at most 15 characters";
	if (!is_one_of(s[0], LOWER UPPER DIGIT) || !is_made_of(s, LOWER UPPER DIGIT "._-") || strstr(s, ".."))
		return "not the name of a network interface; `ip link` lists them";
	return NULL;
}

const char *config_text_device(const char *s)
{
	if (!starts_with(s, "/dev/") || strlen(s) > 200)
		return "must be a path below /dev/ of at most 200 characters, the same on all nodes, e.g. /dev/disk/by-id/wwn-...";
	if (!is_made_of(s, LOWER UPPER DIGIT "/._:+@=,#-"))
		return "a device path is made of letters, digits and /._:+@=,#-";
	if (strstr(s, "//") || strstr(s, "/.") || s[strlen(s) - 1] == '/')
		return "must not contain empty components or such that start with '.'";
	if (starts_with(s, "/dev/mapper/lunward-"))
		return "this is a device that Lunward makes itself; name the device below it";
	return NULL;
}

static size_t count_hex_digits(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += is_one_of(*s, HEX "ABCDEF");
	return n;
}

const char *config_text_serial(const char *s)
{
	if (strlen(s) > 64 || !is_one_of(s[0], LOWER UPPER DIGIT) || !is_made_of(s, LOWER UPPER DIGIT "._-") ||
	    strstr(s, ".."))
		return "a serial has 1 to 64 letters, digits, '.', '_', '-'; leave it out to get one assigned";
	/* The NAA id is made of hex digits only; with few of them two clusters on one SAN would get equal ids. */
	if (count_hex_digits(s) < 8)
		return "a serial needs 8 or more hex digits, hosts' disk ids are made from them; leave it out to get one assigned";
	return NULL;
}

/* --- iSCSI names: RFC 3722 after normalisation, RFC 7143 section 4.2.7 ---*/

static bool is_reversed_domain(const char *s, size_t len)
{
	char before = '.';

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!is_one_of(c, LOWER DIGIT ".-"))
			return false;
		if ((c == '.' || c == '-') && before == '.')
			return false;
		if (c == '.' && before == '-')
			return false;
		before = c;
	}
	return before != '.' && before != '-';
}

static bool is_year_and_month(const char *s)
{
	if (strspn(s, DIGIT) != 4 || s[4] != '-' || strspn(s + 5, DIGIT) != 2)
		return false;
	return (s[5] == '0' && s[6] >= '1') || (s[5] == '1' && s[6] <= '2');
}

const char *config_text_target(const char *s)
{
	const char *domain, *suffix;

	if (strlen(s) > 223)
		return "an iSCSI name has at most 223 characters";
	if (strpbrk(s, UPPER))
		return "iSCSI names are lower case; write it in lower case";
	if (!starts_with(s, "iqn."))
		return "must be an IQN, e.g. iqn.2026-11.org.example:disks";
	if (!is_year_and_month(s + 4) || s[11] != '.')
		return "after \"iqn.\" comes the year and month the domain was registered, e.g. iqn.2026-11.org.example:disks";
	domain = s + 12;
	suffix = strchr(domain, ':');
	if (!is_reversed_domain(domain, suffix ? (size_t)(suffix - domain) : strlen(domain)))
		return "the part after the date must be a reversed domain name, e.g. iqn.2026-11.org.example:disks";
	if (suffix && (suffix[1] == '\0' || !is_made_of(suffix + 1, LOWER DIGIT ".:-")))
		return "after ':' come a-z, 0-9, '.', ':', '-'";
	return NULL;
}

const char *config_text_initiator(const char *s)
{
	size_t len = strlen(s);

	if (starts_with(s, "eui."))
		return len == 4 + 16 && is_made_of(s + 4, HEX) ? NULL : "after \"eui.\" come 16 hex digits in lower case";
	if (starts_with(s, "naa."))
		return (len == 4 + 16 || len == 4 + 32) && is_made_of(s + 4, HEX) ? NULL :
			"after \"naa.\" come 16 or 32 hex digits in lower case";
	if (strcmp(s, CONFIG_HEALTH_INITIATOR) == 0)
		return "is Lunward itself, which looks at its portals as a host does";
	return config_text_target(s);
}

/* --- addresses ---*/

static const char *check_ipv4(struct in_addr addr, unsigned int prefix_len)
{
	uint32_t a = ntohl(addr.s_addr);
	uint32_t host_mask = prefix_len && prefix_len < 31 ? UINT32_MAX >> prefix_len : 0;

	if (a >> 24 == 0)
		return "not an address of one node; write the address itself";
	if (a >> 28 >= 0xe)
		return "a multicast or broadcast address; write the node's own address";
	if (host_mask && ((a & host_mask) == 0 || (a & host_mask) == host_mask))
		return "the first or last address of its network, which no node can have";
	return NULL;
}

static const char *check_ipv6(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_UNSPECIFIED(a))
		return "not an address of one node; write the address itself";
	if (IN6_IS_ADDR_MULTICAST(a))
		return "a multicast address; write the node's own address";
	if (IN6_IS_ADDR_LINKLOCAL(a))
		return "a link-local address means another node on each link; write a global or unique local one";
	if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a))
		return "write an IPv4 address as such, e.g. 10.77.0.1";
	return NULL;
}

static const char *split_prefix(const char *s, char ret_plain[INET6_ADDRSTRLEN], bool prefix_allowed,
				unsigned int *ret_prefix)
{
	static const char usage[] = "after '/' comes the prefix length, e.g. 10.77.0.1/24 or fd00:77::1/64";
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);

	if (len >= INET6_ADDRSTRLEN)
		return "must be a numeric IPv4 or IPv6 address";
	*ret_prefix = 0;
	if (slash && !prefix_allowed)
		return "must be an address without a prefix length";
	if (slash) {
		if (strlen(slash + 1) > 3 || !is_made_of(slash + 1, DIGIT) || !is_one_of(slash[1], "123456789"))
			return usage;
		*ret_prefix = (unsigned int)strtoul(slash + 1, NULL, 10);
	}
	memcpy(ret_plain, s, len);
	ret_plain[len] = '\0';
	return NULL;
}

const char *config_text_address(const char *s, char ret_address[INET6_ADDRSTRLEN], uint8_t *ret_prefix_len)
{
	char plain[INET6_ADDRSTRLEN];
	unsigned int prefix;
	struct in_addr v4;
	struct in6_addr v6;
	const char *wrong = split_prefix(s, plain, ret_prefix_len != NULL, &prefix);
	unsigned int max;

	if (wrong)
		return wrong;
	if (inet_pton(AF_INET, plain, &v4) == 1) {
		max = 32;
		wrong = check_ipv4(v4, prefix);
	} else if (inet_pton(AF_INET6, plain, &v6) == 1) {
		max = 128;
		wrong = check_ipv6(&v6);
	} else {
		return "must be a numeric IPv4 or IPv6 address";
	}
	if (wrong)
		return wrong;
	if (prefix > max)
		return max == 32 ? "an IPv4 prefix length is at most 32" : "an IPv6 prefix length is at most 128";
	if (max == 32)
		inet_ntop(AF_INET, &v4, ret_address, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6, ret_address, INET6_ADDRSTRLEN);
	if (ret_prefix_len)
		*ret_prefix_len = (uint8_t)prefix;
	return NULL;
}

/* --- sizes ---*/

static const struct {
	const char *unit;
	unsigned int shift;
} units[] = { { "TiB", 40 }, { "GiB", 30 }, { "MiB", 20 }, { "KiB", 10 } };

const char *config_text_size(const char *s, uint64_t *ret_bytes)
{
	static const char usage[] = "must be bytes as a number, or a text like \"10GiB\" (KiB, MiB, GiB, TiB)";
	size_t n = strspn(s, DIGIT);
	uint64_t value;

	if (n == 0)
		return usage;
	if (n > 15)
		return "at most 1024TiB are supported";
	value = strtoull(s, NULL, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(s + n, units[i].unit) != 0)
			continue;
		if (value > UINT64_MAX >> units[i].shift)
			return "at most 1024TiB are supported";
		*ret_bytes = value << units[i].shift;
		return NULL;
	}
	return usage;
}

void config_size_print(uint64_t bytes, const char *gap, char ret_text[32])
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t unit = UINT64_C(1) << units[i].shift;

		if (bytes && bytes % unit == 0) {
			snprintf(ret_text, 32, "%" PRIu64 "%s%s", bytes / unit, gap, units[i].unit);
			return;
		}
	}
	snprintf(ret_text, 32, "%" PRIu64 "%s%s", bytes, gap, *gap ? "B" : "");
}

/* --- fence agents: lines key=value on their standard input ---*/

const char *config_text_fence_agent(const char *s)
{
	if (strcmp(s, CONFIG_FENCE_PACEMAKER) == 0 || strcmp(s, CONFIG_FENCE_WATCHDOG) == 0)
		return NULL;
	if (strlen(s) > 64 || !starts_with(s, "fence_") || s[6] == '\0' || !is_made_of(s, LOWER DIGIT "_-"))
		return "must be the plain file name of a fence agent, e.g. fence_ipmilan, or \"" CONFIG_FENCE_PACEMAKER "\" or \"" CONFIG_FENCE_WATCHDOG
		       "\"";
	return NULL;
}

const char *config_text_option_key(const char *s)
{
	if (strlen(s) > 64 || !is_one_of(s[0], LOWER UPPER DIGIT "_") || !is_made_of(s, LOWER UPPER DIGIT "_-"))
		return "a fence option's name has 1 to 64 letters, digits, '_', '-'";
	if (strcmp(s, "action") == 0 || strcmp(s, "option") == 0) /* "option" is its old name */
		return "Lunward sets the action itself; remove it";
	return NULL;
}

const char *config_text_option_value(const char *s)
{
	if (strcmp(s, CONFIG_HIDDEN) == 0)
		return "this stands for a hidden secret; write the secret itself, or start from `lunward config show --secrets`";
	if (strlen(s) > 1024)
		return "a fence option's value has at most 1024 bytes";
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return "a fence option's value must be one line without control characters";
	return NULL;
}

bool config_option_is_secret(const char *key)
{
	static const char *const words[] = { "pass", "secret", "token", "_key", "community" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(key, words[i]))
			return true;
	return false;
}

/* --- CHAP ---*/

static bool is_visible_ascii(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

const char *config_text_chap_user(const char *s)
{
	if (*s == '\0' || strlen(s) > 63 || !is_visible_ascii(s))
		return "a CHAP user has 1 to 63 visible ASCII characters and no blanks";
	/* LIO takes a value that starts with "NULL" for "none" (iscsi_target_configfs.c, DEF_NACL_AUTH_STR) ... */
	if (starts_with(s, "NULL"))
		return "a CHAP user must not start with \"NULL\", which switches CHAP off in LIO; choose another";
	/* ... and decodes names of this form as binary (iscsi_target_auth.c, extract_param). */
	if (s[0] == '0' && is_one_of(s[1], "xXbB"))
		return "a CHAP user must not start with \"0x\" or \"0b\", which iSCSI takes for a number; choose another";
	return NULL;
}

const char *config_text_chap_password(const char *s)
{
	size_t len = strlen(s);

	if (strcmp(s, CONFIG_HIDDEN) == 0)
		return config_text_option_value(s);
	if (len < 12 || len > 64)
		return "a CHAP password has 12 to 64 characters";
	if (!is_visible_ascii(s))
		return "a CHAP password is made of visible ASCII characters without blanks";
	if (starts_with(s, "NULL"))
		return "a CHAP password must not start with \"NULL\", which switches CHAP off in LIO; choose another";
	return NULL;
}

/* --- quoting ---*/

const char *config_quote(const char *s, char ret_text[CONFIG_QUOTE_SIZE])
{
	size_t n = 0;

	ret_text[n++] = '"';
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (n > CONFIG_QUOTE_SIZE - 4 - 5) {
			n += (size_t)snprintf(ret_text + n, CONFIG_QUOTE_SIZE - n, "...");
			break;
		}
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			n += (size_t)snprintf(ret_text + n, CONFIG_QUOTE_SIZE - n, "\\x%02x", c);
		else
			ret_text[n++] = (char)c;
	}
	ret_text[n++] = '"';
	ret_text[n] = '\0';
	return ret_text;
}
