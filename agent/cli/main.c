// SPDX-License-Identifier: GPL-2.0-or-later
/* lunward: the operator's command. All work is done by lunwardd; this asks and shows. */
#include <stdio.h>

#include "agent/cli/cli.h"

int main(int argc, char **argv)
{
	struct cli cli;
	enum cli_exit rc = cli_parse(&cli, argc, argv);

	if (rc != CLI_EXIT_OK)
		return rc;
	if (cli_has(&cli, CLI_OPTION_VERSION)) {
		printf("lunward %s\n", LUNWARD_VERSION);
	} else if (cli_has(&cli, CLI_OPTION_HELP) && cli.verb) {
		help_print_verb(cli.verb);
	} else if (cli_has(&cli, CLI_OPTION_HELP)) {
		help_print();
	} else if (!cli.verb) {
		fputs("lunward: what to do? see `lunward help`\n", stderr);
		return CLI_EXIT_USAGE;
	} else {
		rc = cli.verb->run(&cli);
	}
	if (fflush(stdout) != 0 && rc == CLI_EXIT_OK)
		rc = CLI_EXIT_FAILED;
	return rc;
}
