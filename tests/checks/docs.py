#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What documents and comments say of the tree is true. tests/checks/docs-selftest breaks each rule once.

    docs.py [ROOT]          all rules; prints "ok docs", or a line a fault and exit status 1
    docs.py --missing       exported prototypes of public headers that have no kernel-doc
"""
import os
import re
import subprocess
import sys

HEADINGS = ["Purpose", "Wire", "States", "Host", "Guest", "Migration", "Limits", "Sources"]
# Rooms whose headers are read by others; a header that ends in _priv.h is nobody else's.
PUBLIC = ("vmbus-core", "lib", "host-vsp", "backend", "machine", "vmm", "manage", "cli", "ic-services", "guest-vsc")
# Who counts as a public source, as the first thing or a later one that a "Source:" names.
SOURCES = (r"Linux|TLFS|DMTF|PCI Local Bus|SeaBIOS|INCITS|Bochs|DEC |Microsoft|IBM|FreeVGA|T13|SFF-|OpenVMM|\[MS-|ACPI|docs\.dissect\.tools|libxml2|libarchive|libnbd|SPC-|SBC-|MMC-|SAM-|virtio|RFC ?\d|QEMU|qemu|NBD protocol|Multiboot|PC16550D|MC146818A|"
           r"IEEE|Intel|AMD|POSIX|VMware|UEFI|USB-IF|VESA|observed|api\.rst|docs/[a-z-]+\.md#|[a-z_.-]+\(\d\)")
# Notes that are not in the tree: nobody else can read them.
PRIVATE = r"protocol notes|\bnotes \d+\.\d|\bthreats? [A-Z]\d\d|\bthreats\.md\b|\banchors\b|\bbaselines\b"
# What libc and the kernel bring, and this tree mentions without calling.
FOREIGN = set("""main read write open close mmap munmap fork exec execve poll ppoll epoll select sleep usleep malloc calloc free
	sendmsg recvmsg readv writev pread pwrite ioctl kill wait exit abort assert memcpy memset sched_yield set_bit
	clear_bit cmpxchg smp_mb printk ftruncate fallocate fsync fdatasync sync vfork clone waitpid signal
	udelay msleep mdelay insmod rmmod synchronize_rcu napi_complete netif_wake_queue io_uring_enter""".split())
ERRNO = re.compile(r"-(E[A-Z0-9]{2,})\b")


class Tree:
    def __init__(self, root):
        self.root = root
        if os.path.exists(os.path.join(root, ".git")):
            out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True).stdout
            self.files = [f for f in out.splitlines() if os.path.isfile(os.path.join(root, f))]
        else:
            self.files = [os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs]
        self.tops = {f.split("/")[0] for f in self.files if "/" in f}
        self.bases = {os.path.basename(f) for f in self.files}
        self.texts = {}
        self.faults = []

    def read(self, f):
        if f not in self.texts:
            with open(os.path.join(self.root, f), encoding="utf-8", errors="replace") as fd:
                self.texts[f] = fd.read()
        return self.texts[f]

    def fault(self, where, what):
        self.faults.append(f"not ok docs: {where}: {what}")

    def c_files(self):
        return [f for f in self.files if f.endswith((".c", ".h"))]


# ---- C, as far as these rules need it ----

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def split_c(text):
    """Return the code with comments and strings blanked, and the comments as (line, text)."""
    comments = []

    def blank(m):
        s = m.group(0)
        if s[0] == "/":
            comments.append((text.count("\n", 0, m.start()) + 1, s))
            return re.sub(r"[^\n]", " ", s)
        return s[0] + " " * (len(s) - 2) + s[0]

    return TOKEN.sub(blank, text), comments


def comment_text(s):
    s = re.sub(r"^/\*+|\*/$|^//", "", s)
    return re.sub(r"^[ \t]*\* ?", "", s, flags=re.M)


def without_sources(s):
    """A comment without the paragraph that names its sources, and without sentences about others' code."""
    s = re.split(r"\n\s*Sources?:|\bSources?: ", s)[0]
    foreign = re.compile(r"\b(Linux|the kernel|OpenVMM|QEMU|libnbd|Windows|netvsc|storvsc|in-tree)\b")
    return " ".join(p for p in re.split(r"(?<=[.;)])\s", s) if not foreign.search(p))


# ---- rules ----

def rule_paths(t):
    """`room/file` and `room/file:function` in documents are there."""
    ref = re.compile(r"`([a-z][a-z-]*)/([A-Za-z0-9_./*-]*[A-Za-z0-9_/*])(?::([A-Za-z0-9_]+)(?:\(\))?)?`")
    for doc in [f for f in t.files if f.endswith(".md") and f != "CHANGELOG.md"]:
        for m in ref.finditer(t.read(doc)):
            top, rest, fn = m.groups()
            path = f"{top}/{rest}"
            if top in ("build", "build-asan") or "*" in path or "NAME" in path or "ROOM" in path:  # not a name but a pattern
                continue
            if not os.path.exists(os.path.join(t.root, path)):
                if top in t.tops or top in PUBLIC or fn:
                    t.fault(doc, f"names {path}, which does not exist")
            elif fn and not re.search(rf"\b{fn}\b", t.read(path)):
                t.fault(doc, f"names {path}:{fn}: no {fn} in there")


def rule_facts(t):
    """Rows of docs/protocol.md are whole and unique; the numbers that are cited are there, as are those of attacks."""
    known = {"protocol": set(), "threat-model": set()}
    for doc in known:
        path = f"docs/{doc}.md"
        if path not in t.files:
            continue
        for line in t.read(path).splitlines():
            m = re.match(r"## (\d+)\. ", line)
            if m:
                known[doc].add(m.group(1))
            m = re.match(r"\| (\d+\.\d+|[A-Z]\d\d) \|", line)
            if m:
                if m.group(1) in known[doc]:
                    t.fault(path, f"two facts are called {m.group(1)}")
                known[doc].add(m.group(1))
                cells = [c.strip() for c in line.strip().strip("|").split("|")]
                if len(cells) != (4 if doc == "protocol" else 3) or not all(cells):
                    t.fault(path, f"fact {m.group(1)} lacks a source or how it was verified")
    cite = re.compile(r"docs/(protocol|threat-model)\.md((?:(?:, | to | and |, \n ?\* ?)?#[A-Z0-9][0-9.]*)+)")
    for f in t.files:
        if not f.endswith((".c", ".h", ".S", ".sh", ".md", ".py", ".build")) or f.startswith("tests/checks/docs"):
            continue
        for m in cite.finditer(t.read(f)):
            for n in re.findall(r"#([A-Z0-9][0-9.]*)", m.group(2)):
                n = n.rstrip(".")
                if n not in known[m.group(1)] and not (f.endswith(".md") and "`docs/" in t.read(f)[max(0, m.start() - 6):m.start() + 6] and n == "N"):
                    t.fault(f, f"cites docs/{m.group(1)}.md#{n}, which is not there")


def rule_sources(t):
    """No comment cites what is not in the tree; each "Source:" names something public."""
    for f in t.files:
        if f.startswith("tests/checks/docs") or not f.endswith((".c", ".h", ".S", ".sh", ".md", ".py")):
            continue
        m = re.search(PRIVATE, t.read(f))
        if m:
            t.fault(f, f'cites "{m.group(0)}", which is not in the repository')
    for f in t.c_files():
        for line, c in split_c(t.read(f))[1]:
            for m in re.finditer(r"\bSources?: (.*?)(?:\n\s*\n|\Z)", comment_text(c), re.S):
                if not re.search(SOURCES, m.group(1)):
                    t.fault(f"{f}:{line}", f'names no public source: "{m.group(1).split(chr(10))[0].strip()}"')


def rule_names(t):
    """Functions, constants and files that header comments and DOC blocks name exist."""
    words = set()
    split = {}
    for f in t.c_files() + [f for f in t.files if f.endswith(".S")]:
        split[f] = split_c(t.read(f))
        words.update(re.findall(r"\w+", split[f][0]))
        words.update(w for s in TOKEN.findall(t.read(f)) if s[0] == '"' for w in re.findall(r"\w+", s))
    for f in t.files:
        if f.endswith((".sh", ".py", ".build")) or os.path.basename(f) in ("Kbuild", "Makefile"):
            words.update(re.findall(r"\w+", t.read(f)))
    for f in t.c_files():
        for i, (line, c) in enumerate(split[f][1]):
            text = comment_text(c)
            own = without_sources(text)
            for m in re.finditer(r"(?<![\w./*-])([a-z0-9][a-z0-9_]*(?:/[a-z0-9_]+)*\.[ch])\b", own):
                name = m.group(1)
                if "/" not in name and name not in t.bases or "/" in name and name.split("/")[0] in t.tops and name not in t.files:
                    t.fault(f"{f}:{line}", f"names {name}, which does not exist")
            for m in re.finditer(r"(?<![\w>.])(\w+)\(\) in ([a-z0-9_]+\.c)\b", own):
                homes = [g for g in t.c_files() if os.path.basename(g) == m.group(2)]
                if homes and not any(re.search(rf"\b{m.group(1)}\(", split[g][0]) for g in homes):
                    t.fault(f"{f}:{line}", f"names {m.group(1)}() in {m.group(2)}, where it is not")
            if not (f.endswith(".h") or "DOC:" in c or line <= 3):
                continue
            for m in re.finditer(r"(?<![\w>.])([A-Za-z_]\w+)\(\)", own):
                if m.group(1) not in words and m.group(1) not in FOREIGN:
                    t.fault(f"{f}:{line}", f"names {m.group(1)}(), which does not exist")
            for m in re.finditer(r"\b(KVMB_[A-Z0-9_]*[A-Z0-9]|vm_[a-z_]+|kvmb_[a-z0-9_]+[a-z0-9])\b(?![*.(])", own):
                if m.group(1) not in words and m.group(1) + "_" not in own:
                    t.fault(f"{f}:{line}", f"names {m.group(1)}, which does not exist")


PROTO = re.compile(r"^(?:extern )?[A-Za-z_][\w \t*]*?\**\b(\w+)\s*\(((?:[^()]|\([^()]*\)|\((?:[^()]|\([^()]*\))*\))*)\)\s*(?:__\w+(?:\([^)]*\)+)?\s*)*([;{])", re.M)


def params_of(args):
    names, depth, part = [], 0, ""
    for ch in args + ",":
        if ch == "," and not depth:
            part = part.strip()
            m = re.search(r"\(\s*\*\s*(\w+)", part) or re.search(r"(\w+)\s*(?:\[[^\]]*\])*$", part)
            if part == "...":
                names.append("...")
            elif m and part != "void":
                names.append(m.group(1))
            part = ""
            continue
        depth += (ch in "([") - (ch in ")]")
        part += ch
    return names


class Functions:
    """Definitions by name: bodies, for what they may return."""

    def __init__(self, t):
        self.bodies = {}
        for f in t.c_files():
            if f.startswith("tests/"):
                continue
            code = split_c(t.read(f))[0]
            for m in re.finditer(r"^[A-Za-z_][\w \t*]*?\b(\w+)\(([^;{}]*)\)\n?\s*\{\n(.*?)^\}", code, re.M | re.S):
                self.bodies.setdefault(m.group(1), []).append(m.group(3))

    def may_return(self, name, err, depth=5, seen=None):
        """Does @err stand in the function or in what it calls, or does the answer come from the system?"""
        seen = seen if seen is not None else set()
        if name in seen or name not in self.bodies or depth == 0:
            return False
        seen.add(name)
        for body in self.bodies[name]:
            # the system's errors, or those of a callback
            if re.search(rf"\b{err}\b|-errno\b|return -?(?:ret|r|n|err|rc)\b.*ERR|->ops->|\bops->|PTR_ERR|(?:\.|->)err\b", body):
                return True
            for m in re.finditer(r"\b(\w+)\(", body):
                before = body[:m.start()].rstrip()
                if not before or before[-1] in ";{})" or before.endswith(("else", "do")):
                    continue  # a statement by itself: its answer is not used
                if self.may_return(m.group(1), err, depth - 1, seen):
                    return True
        return False


def kernel_docs(text):
    """(line, comment, name, params, end) of each kernel-doc comment that a function follows."""
    for m in re.finditer(r"/\*\*\s*\n?(.*?)\*/\s*", text, re.S):
        p = PROTO.match(text[m.end():m.end() + 1500])
        line = text.count("\n", 0, m.start()) + 1
        yield line, comment_text(m.group(0)), (p.group(1), params_of(p.group(2))) if p else None


def rule_kernel_doc(t):
    """Kernel-doc names its own function, its parameters, and errors that it can return."""
    fns = Functions(t)
    for f in t.c_files():
        if f.startswith("tests/") and not f.startswith("tests/harness/"):
            continue
        for line, doc, proto in kernel_docs(t.read(f)):
            where = f"{f}:{line}"
            m = re.match(r"\s*\*?\s*(\w+)\(\)", doc)
            if not m or not proto:
                continue
            name, params = proto
            if m.group(1) != name:
                t.fault(where, f"documents {m.group(1)}(), but {name}() follows")
                continue
            for p in sorted(set(re.findall(r"@(\w+)", doc))):
                if p not in params:
                    t.fault(where, f"{name}() has no parameter @{p}")
            for e in sorted(set(ERRNO.findall(doc))):
                if not f.startswith("tests/") and name in fns.bodies and not fns.may_return(name, e):
                    t.fault(where, f"{name}() is said to return -{e}, which nothing in it does")


def rule_rooms(t):
    """Pages of rooms have the same headings, in the same order."""
    for f in [f for f in t.files if re.match(r"docs/rooms/[^/]+\.md$", f)]:
        have = re.findall(r"^## (\w+)", t.read(f), re.M)
        main = [h for h in have if h in HEADINGS]
        if main != HEADINGS:
            missing = [h for h in HEADINGS if h not in main]
            t.fault(f, f"lacks the heading{'s' if len(missing) > 1 else ''} {', '.join(missing)}" if missing else "has its headings in another order")


def missing_docs(t):
    """(header, line, name) of exported prototypes in public headers without kernel-doc."""
    out = []
    for f in t.files:
        if not f.endswith(".h") or f.endswith("_priv.h") or f.split("/")[0] not in PUBLIC:
            continue
        text = t.read(f)
        documented = {p[0] for _, d, p in kernel_docs(text) if p and re.match(r"\s*\*?\s*\w+\(\)", d)}
        code = re.sub(r"^[ \t]*#.*?(?<!\\)\n", lambda m: "\n" * m.group(0).count("\n"), split_c(text)[0], flags=re.M | re.S)
        depth = 0
        flat = []
        for ch in code:  # only what stands outside of braces
            if ch == "}":
                depth -= 1
            flat.append(ch if depth == 0 or ch == "\n" else " ")
            if ch == "{":
                depth += 1
        flat = "".join(flat)
        for m in PROTO.finditer(flat):
            if m.group(0).startswith(("typedef", "struct {", "static_assert", "return")) or "static_assert" in m.group(0).split("(")[0]:
                continue
            name = m.group(1)
            if name.isupper() or name in ("__attribute__",) or name in documented or m.group(0).startswith("static "):
                continue
            out.append((f, flat.count("\n", 0, m.start()) + 1, name))
    return out


def rule_missing(t):
    """Exported functions of public headers have kernel-doc."""
    for f, line, name in missing_docs(t):
        t.fault(f"{f}:{line}", f"{name}() has no kernel-doc")


RULES = [rule_paths, rule_facts, rule_sources, rule_names, rule_kernel_doc, rule_rooms, rule_missing]


def check(root, rules=None):
    t = Tree(root)
    for rule in rules or RULES:
        rule(t)
    return t.faults


def main(argv):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    if argv[1:] == ["--missing"]:
        out = missing_docs(Tree(root))
        for f, line, name in out:
            print(f"{f}:{line}: {name}")
        print(f"# {len(out)}")
        return 0
    faults = check(argv[1] if len(argv) > 1 else root)
    for f in faults:
        print(f)
    if not faults:
        print("ok docs")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
