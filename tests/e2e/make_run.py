# SPDX-License-Identifier: MIT
"""What `make run` does (tests/guest/debian/run.sh): a shell on a terminal, a command without one."""
from bh import BUILD, SOURCE, check, main, test

SCRIPT = SOURCE + "/tests/guest/debian/run.sh"


@test(limit=280)
def with_terminal(t):
    vm = t.start(SCRIPT, BUILD, "", on_terminal=True)
    vm.expect("userspace is up", 240)
    vm.expect("bulkhead# ", 60)
    vm.send("echo $((1 + 1)) eyes\n")
    vm.expect("\n2 eyes")
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


@test(limit=280)
def without_terminal(t):
    """The command's output and its exit status come out."""
    r = t.call([SCRIPT, BUILD, "echo inside; exit 9"], seconds=240)
    r.expect(9, out="inside")


if __name__ == "__main__":
    main()
