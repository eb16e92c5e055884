#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compare.py BIN COMMANDS OBJECT...: the same command lines to Linux's bpftool, with the kernel's BPF,
and to ours, with a service; exit status, output and errors must be the same.

BIN has bpftool, ebpfsvc and attach_link; the OBJECTs are drop_empty_udp.o
and, of tests/objects, values.o and dump.o. Each side runs in a mount and a network namespace of its own, where lo is up
and cs0 and cs1 are a veth pair, in a folder with d.o (drop_empty_udp.o), the others and zeros (64 bytes). A process per
command. COMMANDS has a line for each:

    map show              run as it stands, with -j and with -p
    = map show            run as it stands only
    map show   ## reason  must differ, for this reason: docs/bpftool.md
    $ command             the shell's; $T is bpftool, $LINK attach_link
    # a comment

Exit status 77 where the comparison cannot be made: no root, no bpftool, a kernel that lets no BPF in.
"""
import difflib, os, re, shutil, subprocess, sys, tempfile, time

KERNELS = "/usr/sbin/bpftool"
VERSION = "v7.1"
NOT_POSSIBLE = 77
SET_UP = """
while umount /sys/fs/bpf 2>/dev/null; do :; done
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
ip link add cs0 type veth peer name cs1
head -c 64 /dev/zero >zeros
pid() { $T -j prog show pinned /sys/fs/bpf/$1 | sed 's/.*"id":\\([0-9]*\\),.type.*/\\1/'; }
tag() { $T -j prog show pinned /sys/fs/bpf/$1 | sed -n 's/.*"tag":"\\([0-9a-f]*\\)".*/\\1/p'; }
"""


class Line:
    def __init__(self, text):
        text, _, self.reason = text.partition("   ## ")
        self.shell = text.startswith("$ ")
        alone = text.startswith("= ")
        self.commands = [text[2:]] if alone or self.shell else [text, "-j " + text, "-p " + text]


def read(path):
    with open(path) as file:
        return [Line(l.rstrip("\n")) for l in file if l.strip() and not l.startswith("#")]


def script(lines, service):
    out = []
    if service:
        out += [f"{service} --socket $PWD/s >service.log 2>&1 & SERVICE=$!",
                "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -S s ] && break; sleep 0.2; done",
                "export EBPF_SERVICE=$PWD/s"]
    out.append(SET_UP)
    n = 0
    for line in lines:
        if line.shell:
            out += line.commands
            continue
        for command in line.commands:
            out.append(f"timeout 20 $T {command} >{n}.out 2>{n}.err </dev/null; echo $? >{n}.status")
            n += 1
    if service:
        out.append("kill $SERVICE; wait $SERVICE 2>/dev/null")
    return "\n".join(out), n


def run(lines, tool, bin_folder, service):
    """What each command did: [(stdout, stderr, status)]."""
    with tempfile.TemporaryDirectory() as folder:
        text, count = script(lines, service)
        for object_file in sys.argv[3:]:
            shutil.copy(object_file, folder)
        os.rename(folder + "/drop_empty_udp.o", folder + "/d.o")
        os.symlink(tool, folder + "/bpftool")
        environment = {"PATH": os.environ["PATH"], "LINK": bin_folder + "/attach_link", "T": "./bpftool"}
        ran = subprocess.run(["unshare", "-m", "-n", "sh", "-c", text], cwd=folder, env=environment,
                             stderr=subprocess.PIPE, text=True)
        if ran.stderr:
            print("the shell says:", ran.stderr, file=sys.stderr)

        def content(n, kind):
            with open(f"{folder}/{n}.{kind}", errors="replace") as file:
                return file.read()

        return [tuple(content(n, kind) for kind in ("out", "err", "status")) for n in range(count)]


# What no two runs have in common, and what only a kernel knows (memory, a map's owner).
DIFFERS = [
    (r'"(id|prog_id|loaded_at|uid|bytes_xlated|bytes_jited|ifindex|duration)":( ?)\d+', r'"\1":\2N'),
    (r'"tag":( ?)"[0-9a-f]+"', r'"tag":\1"T"'),
    (r"(?m)^(Error: )?\d+: ", r"\1N: "),
    (r"tag [0-9a-f]{16}", "tag T"),
    (r"loaded_at \S+  uid", "loaded_at D  uid"),
    (r"(xlated|jited) \d+B", r"\1 NB"),
    (r"(map|prog)_ids [\d,]+", r"\1_ids N"),
    (r'("(?:map|prog)_ids": ?\[)[\d,]+', r"\1N"),
    (r"duration( \(average\))?: \d+ns", r"duration\1: Nns"),
    (r"\bid \d+", "id N"),
    (r"by id \(\d+\)", "by id (N)"),
    (r"prog \d+  ", "prog N  "),
    (r"map\[id:\d+\]", "map[id:N]"),
    (r"(?m)^( +18 [12]\w 00 00)( \w\w){4}", r"\1 ID"),
    (r'("code":( ?)"0x18",\s*"src_reg":( ?)"0x[12]",[^]]*\][^]]*\[)(?:,?"0x\w\w"){4}', r"\1ID"),
    (r"#bpf_prog_[0-9a-f]{16}_", "#"),
    (r"(\w+)\(\d+\) (generic|driver|offload) ", r"\1(N) MODE "),
    (r'"mode":( ?)"\w+"', r'"mode":\1"MODE"'),
    (r"  memlock \d+B|\n\tfrozen|\n\towner_prog_type[^\n]*|\n\tbtf_id \d+", ""),
    (r',?\s*"(bytes_memlock|frozen|owner_\w+|btf_id)":( ?)("\w+"|\w+)', ""),
    (r'bpftool v[\d.]+|"version": ?"[\d.]+"', "VERSION"),
    (r"(?m)^(libbpf|Warning: bpftool is now|If it used to).*\n(?:\n)?", ""),
    # Usage: bpftool of another version has other commands.
    (r"(?s)Usage: \S+ (\[OPTIONS\] OBJECT|\w+|).*", r"Usage: bpftool \1"),
    (r"\\n", "\n"),  # a text in JSON is escaped here, and not always there
]


def comparable(result):
    def one(text):
        for pattern, instead in DIFFERS:
            text = re.sub(pattern, instead, text)
        return text

    return tuple(one(text) for text in result)


def kernel_works():
    probe = ("mount -t bpf bpf /sys/fs/bpf && " + KERNELS +
             " map create /sys/fs/bpf/x type array key 4 value 4 entries 1 name x")
    if os.geteuid() != 0 or not os.path.exists(KERNELS):
        return False
    version = subprocess.run([KERNELS, "version"], stdout=subprocess.PIPE, text=True).stdout
    return VERSION in version and \
        subprocess.run(["unshare", "-m", "-n", "sh", "-c", probe], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL).returncode == 0


def settle(seconds=20):
    """Objects of a file system that is gone go some time after it; names would find them."""
    end = time.monotonic() + seconds
    for command in ("map show name ct_m", "prog show name drop_empty_udp"):
        while time.monotonic() < end and subprocess.run(
                [KERNELS, *command.split()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            time.sleep(0.2)


def main():
    bin_folder = sys.argv[1]
    if not kernel_works():
        print("skipped: no root, or no", KERNELS, VERSION, "that may use the kernel")
        return NOT_POSSIBLE
    for needed in sys.argv[3:]:
        if not os.path.exists(needed):
            print("skipped: there is no", needed)
            return NOT_POSSIBLE
    settle()
    lines = read(sys.argv[2])
    kernels = run(lines, KERNELS, bin_folder, None)
    ours = run(lines, bin_folder + "/bpftool", bin_folder, bin_folder + "/ebpfsvc")
    commands = [(c, line.reason) for line in lines if not line.shell for c in line.commands]
    wrong = listed = 0
    for (command, reason), theirs, mine in zip(commands, map(comparable, kernels), map(comparable, ours)):
        if (theirs == mine) == (reason == ""):
            listed += reason != ""
            continue
        wrong += 1
        print(f"bpftool {command}")
        if theirs == mine:
            print("  is the same, though it is listed to differ:", reason)
        for name, a, b in zip(("output", "errors", "status"), theirs, mine):
            if a != b:
                print(f"  {name}, Linux's (-) and ours (+):")
                lines = (text.replace("},{", "\n},{").splitlines() for text in (a, b))
                print("\n".join("    " + line for line in list(difflib.unified_diff(*lines, n=0, lineterm=""))[2:]))
    print(f"{len(commands)} commands: {len(commands) - wrong - listed} the same, {listed} listed to differ, "
          f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
