# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules as checks: each is a function that takes a Tree and yields findings, `path:line: what is wrong`.

tests/policy/run runs them over the tree; test_house.py shows for each that a planted fault is found.
"""
import fnmatch
import functools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

PRODUCT = ("base", "ha", "target-config", "agent", "probe")


class Tree:
    """The files of a source tree, with what the makefile knows of it."""

    def __init__(self, root, c_sources=None, archives=(), programs=(), cflags=()):
        self.root = root
        self.c_sources = c_sources  # what the makefile compiles; None: not known
        self.archives = archives  # built libraries
        self.programs = programs  # built programs
        self.cflags = list(cflags)

    @functools.cached_property
    def files(self):
        """Tracked and new files, without ignored ones, as paths from the top."""
        # safe.directory: root may look at somebody else's clone
        git = subprocess.run(["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, text=True, check=False)
        if git.returncode == 0:
            names = git.stdout.split("\0")
        else:
            names = [os.path.relpath(os.path.join(d, f), self.root) for d, _, fs in os.walk(self.root) for f in fs]
            names = [n for n in names if not n.startswith((".git/", "build/"))]
        return sorted(n for n in names if n and os.path.isfile(os.path.join(self.root, n)))

    @functools.cache
    def text(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
            return f.read()

    @functools.cache
    def code(self, path):
        """A C file with comments and string contents blanked, lines kept."""
        def blank(match):
            s = match.group(0)
            return re.sub(r"[^\n]", " ", s) if s[0] == "/" else s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1]
        return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, self.text(path), flags=re.S)

    def c_files(self, *tops):
        tops = tops or PRODUCT + ("tests",)
        return [f for f in self.files if f.endswith((".c", ".h")) and f.startswith(tuple(t + "/" for t in tops))]

    def includes(self, path):
        """(line, form, header) of each include; form is '"' or '<'."""
        # Of the text, since code() blanks the names; an include in a comment stands at no line's start.
        for n, line in enumerate(self.text(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                yield n, match.group(1), match.group(2)


def under(path, folder):
    return path.startswith(folder.rstrip("/") + "/")


# --- who may include whom ------------------------------------------------------------------------------------------------

def folder_map(tree):
    """The table of docs/ARCHITECTURE.md: folder -> patterns of the folders it may use."""
    folders = {}
    for line in tree.text("docs/ARCHITECTURE.md").splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or not cells[0].startswith("`"):
            continue
        uses = re.findall(r"`([^`]+?)/?`", cells[2])
        if cells[2].startswith("everything"):
            uses = ["*"]
        for name in re.findall(r"`([^`]+?)/?`", cells[0]):
            folders[name] = uses
    return folders


def layers(tree):
    """Includes follow the table of docs/ARCHITECTURE.md."""
    folders = folder_map(tree)

    def home(path):
        return max((f for f in folders if under(path, f)), key=len, default=None)

    for path in tree.c_files():
        mine = home(path)
        if mine is None:
            yield f"{path}:1: its folder is not in the table of docs/ARCHITECTURE.md"
            continue
        for n, form, header in tree.includes(path):
            if form != '"':
                continue
            theirs = home(header)
            if theirs is None and mine == "tests" and os.path.dirname(path) + "/" + header in tree.files:
                continue  # programs of the lab are built apart
            if theirs is None:
                yield f'{path}:{n}: "{header}": write the path from the top of the tree'
            elif theirs != mine and not any(fnmatch.fnmatch(theirs, u) for u in folders[mine]):
                yield f"{path}:{n}: {mine} may not use {theirs} (docs/ARCHITECTURE.md)"


# Parts that only decide: what would let them act, wait or ask the time.
PURE = {"ha/core", "ha/wire", "target-config/model", "target-config/pr"}
IMPURE = {"base/clock.h", "base/file.h", "base/run_cmd.h", "base/parallel.h", "fcntl.h", "poll.h", "pthread.h", "signal.h",
          "sys/ioctl.h", "sys/socket.h", "sys/stat.h", "sys/wait.h", "time.h", "unistd.h", "sys/time.h", "dirent.h"}


def pure(tree):
    """The parts that decide include nothing that does I/O, waits, or tells the time."""
    for path in tree.c_files():
        if any(under(path, p) for p in PURE):
            for n, _, header in tree.includes(path):
                if header in IMPURE:
                    yield f"{path}:{n}: {header}: this part is pure; time and data come in as arguments"


@functools.cache
def system_headers():
    """Headers of libc, the kernel's interface and the compiler: everything else is foreign."""
    listed = subprocess.run(["dpkg-query", "-L", "libc6-dev", "linux-libc-dev"], capture_output=True, text=True, check=True)
    found = {re.sub(r"^/usr/include/(?:[^/]+-linux-gnu/)?", "", p) for p in listed.stdout.split() if p.endswith(".h")}
    compiler = subprocess.run(["gcc", "-print-file-name=include"], capture_output=True, text=True, check=True).stdout.strip()
    return frozenset(found | set(os.listdir(compiler)))


def door_table(tree):
    """(pattern of headers, patterns of the files that may include them) of tests/policy/doors."""
    for line in tree.text("tests/policy/doors").splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words[0], words[1:]


def doors(tree):
    """A foreign library is included by its door only (tests/policy/doors); a library without a door is not included."""
    table = list(door_table(tree))
    for path in tree.c_files(*PRODUCT):
        for n, form, header in tree.includes(path):
            if form != "<" or header in system_headers():
                continue
            allowed = next((files for pattern, files in table if fnmatch.fnmatch(header, pattern)), None)
            if allowed is None:
                yield f"{path}:{n}: <{header}> is of a library that has no door in tests/policy/doors"
            elif not any(fnmatch.fnmatch(path, a) for a in allowed):
                yield f"{path}:{n}: <{header}> is for {' '.join(allowed)} alone (tests/policy/doors)"


# --- what code may not say -----------------------------------------------------------------------------------------------

BANNED = {
    "system popen execlp": "no shell and no search by accident: base/run_cmd.h with an argument vector",
    "strcpy strcat sprintf vsprintf stpcpy gets strncat": "no bound or no NUL: snprintf, base/strbuf.h, memcpy",
    "strtok": "hidden state: strsep or strtok_r",
    "atoi atol atoll atof": "cannot fail: strtol and its kin, with checks",
    "alloca": "no bound",
    "mktemp tmpnam tempnam": "races: mkstemp, mkdtemp, memfd_create",
    "sleep usleep": "nothing sleeps to wait for something: poll with a deadline",
    "rand random": "getrandom, or a generator with a seed that is an argument",
    "localtime gmtime ctime asctime strerror_r": "shared buffers or two meanings: the _r forms, strerror",
    "malloc calloc realloc strdup strndup asprintf vasprintf": "base/xalloc.h: aborts when memory is out",
}
BANNED_EXCEPT = {"base/xalloc.c": {"malloc", "calloc", "realloc", "reallocarray", "strdup", "strndup", "asprintf", "vasprintf"},
                 "base/strbuf.c": {"realloc"}}

BANNED_IN_TESTS = {"system", "popen", "gets", "mktemp", "sleep", "usleep", "rand"}


def banned(tree):
    """Functions with a safer sister are not called."""
    reasons = {name: why for names, why in BANNED.items() for name in names.split()}
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(reasons) + r")\s*\(")
    for path in tree.c_files():
        in_tests = path.startswith("tests/")
        if path.startswith("tests/lab/"):
            continue  # its programs pace themselves and are no tests
        for n, line in enumerate(tree.code(path).splitlines(), 1):
            for name in pattern.findall(line):
                if name in BANNED_EXCEPT.get(path, ()) or (in_tests and name not in BANNED_IN_TESTS):
                    continue
                yield f"{path}:{n}: {name}(): {reasons[name]}"


# The clock that decides, and the one that is shown to people.
CLOCKS = ("base/clock.c", "agent/daemon/timeline.c")


def hidden_clock(tree):
    """Only base/clock.c reads the clock; tests and the simulator stay in command of time."""
    pattern = re.compile(r"(?<![\w.>])(clock_gettime|gettimeofday|time|timespec_get)\s*\(")
    for path in tree.c_files(*PRODUCT):
        if path in CLOCKS:
            continue
        for n, line in enumerate(tree.code(path).splitlines(), 1):
            for name in pattern.findall(line):
                yield f"{path}:{n}: {name}(): only base/clock.c reads the clock"


def quiet_libraries(tree):
    """Libraries return errors; only agent/ logs above debug."""
    pattern = re.compile(r"(?<![\w.>])(log_(?:err|warning|notice|info))\s*\(")
    for path in tree.c_files("ha", "target-config", "base"):
        if path.startswith("base/log."):
            continue
        for n, line in enumerate(tree.code(path).splitlines(), 1):
            for name in pattern.findall(line):
                yield f"{path}:{n}: {name}(): a library returns errors, the daemon logs them once"


def unfinished(tree):
    """No marks of unfinished work: what is known to be missing is written where users read it."""
    for path in tree.files:
        if path.endswith((".c", ".h", ".py", ".sh", ".mk", ".md", ".scd")) and not path.startswith("tests/policy/"):
            for n, line in enumerate(tree.text(path).splitlines(), 1):
                if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                    yield f"{path}:{n}: unfinished: {line.strip()[:80]}"


# --- form of files ---------------------------------------------------------------------------------------------------------

def shebang(tree, path):
    first = tree.text(path).split("\n", 1)[0]
    return first if first.startswith("#!") else ""


def is_script(tree, path, kind):
    """kind: sh or python."""
    suffix, interpreter = {"sh": (".sh", r"\b(sh|bash|dash)\b"), "python": (".py", r"\bpython3\b")}[kind]
    if path.endswith(suffix):
        return True
    return "." not in os.path.basename(path) and bool(re.search(interpreter, shebang(tree, path)))


def licence(tree):
    """Each source file names its licence at the top; C files go on with what they are for."""
    for path in tree.files:
        c = path.endswith((".c", ".h"))
        if not (c or is_script(tree, path, "sh") or is_script(tree, path, "python")):
            continue
        lines = tree.text(path).splitlines()
        if not any("SPDX-License-Identifier: GPL-2.0-or-later" in line for line in lines[:3]):
            yield f"{path}:1: no SPDX-License-Identifier line"
        elif c and not (len(lines) > 1 and lines[1].startswith("/*")) and path[:-1] + "h" not in set(tree.files) - {path}:
            yield f"{path}:2: no comment that says what the file is for, here or in a header of that name"


MACHINE_PATH = re.compile(r"(?<![\w.-])(/wo[r]k/\w|/ho[m]e/\w|/Us[e]rs/\w|/tm[p]/spec)")
URL = re.compile(r"\b(?:https?|ftp|git)://([\w.-]+)")
URL_HOSTS = ("debian.org", "kernel.org", "github.com", "gnu.org", "spdx.org", "clusterlabs.org", "corosync.github.io",
             "drbd.org", "linbit.com", "rfc-editor.org", "ietf.org", "t10.org", "freedesktop.org", "localhost", "127.0.0.1",
             "man7.org", "spinroot.com", "example.com", "example.org", "www.w3.org")


def machine(tree):
    """Nothing in the tree depends on where it was made: no paths of one machine, no registries."""
    for path in tree.files:
        if path == "LICENSE":
            continue
        for n, line in enumerate(tree.text(path).splitlines(), 1):
            for found in MACHINE_PATH.findall(line):
                yield f"{path}:{n}: path of one machine: {found}..."
            for host in URL.findall(line):
                if not any(host == h or host.endswith("." + h) for h in URL_HOSTS):
                    yield f"{path}:{n}: host {host} is not among those of tests/policy/house.py"


def compiled(tree):
    """Each C file of the parts and of tests/unit is built by the makefile."""
    if tree.c_sources is None:
        return
    for path in tree.c_files(*PRODUCT, "tests/unit"):
        if path.endswith(".c") and path not in tree.c_sources:
            yield f"{path}:1: no part.mk names it"


def versions(tree):
    """The package has the version of the tree."""
    version = tree.text("VERSION").strip()
    package = re.match(r"lunward \(([^)]+)\)", tree.text("packaging/debian/changelog")).group(1)
    if package != version:
        yield f"packaging/debian/changelog:1: version {package}, but VERSION says {version}"


# --- what was built ---------------------------------------------------------------------------------------------------------

def exported_variables(tree):
    """Libraries export functions, no variables; constant tables are allowed."""
    for archive in tree.archives:
        out = subprocess.run(["nm", "-A", "-g", "--defined-only", "--format=sysv", archive], capture_output=True, text=True,
                             check=True).stdout
        for line in out.splitlines():
            cells = [c.strip() for c in line.split("|")]
            if len(cells) == 7 and cells[3] in ("OBJECT", "TLS") and not cells[6].startswith((".rodata", ".data.rel.ro")):
                origin, _, symbol = cells[0].rpartition(":")
                yield f"{origin}: exports the variable {symbol}"


def headers_alone(tree):
    """Each header compiles by itself."""
    headers = [f for f in tree.c_files(*PRODUCT) if f.endswith(".h")]

    def compile_header(header):
        result = subprocess.run(
            ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-I.", *tree.cflags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c",
             "-include", header, "/dev/null"], cwd=tree.root, capture_output=True, text=True, check=False)
        return header, result

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, result in pool.map(compile_header, headers):
            if result.returncode:
                yield f"{header}:1: does not compile alone: {result.stderr.strip().splitlines()[0]}"


def help_text(program):
    result = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    return result.stdout + result.stderr


def manual(tree):
    """What --help of a program names, options and verbs, is in its manual page, and the reverse for options."""
    for program in tree.programs:
        page = f"docs/man/{os.path.basename(program)}.8.scd"
        if page not in tree.files:
            yield f"{page}:1: {os.path.basename(program)} has no manual page"
            continue
        text = re.sub(r"\\(.)", r"\1", tree.text(page))
        shown = help_text(program)
        options, described = (set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", t)) for t in (shown, text))
        for option in sorted(options - described):
            yield f"{page}:1: {option} of --help is missing"
        for option in sorted(described - options):
            yield f"{page}:1: {option} is not in --help"
        # A verb is a line of --help that begins with two blanks and a word; the page has it in bold.
        for verb in re.findall(r"^  ([a-z][a-z-]+(?: [a-z][a-z-]+)*)", shown, flags=re.M):
            if not re.search(r"\*" + re.escape(verb) + r"\b", text):
                yield f"{page}:1: the verb *{verb}* of --help is missing"


CHECKS = [layers, pure, doors, banned, hidden_clock, quiet_libraries, unfinished, licence, machine, compiled, versions,
          exported_variables, headers_alone, manual]
