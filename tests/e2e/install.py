# SPDX-License-Identifier: MIT
"""What `make install` installs, and where."""
import json
import os
import subprocess

from bh import BUILD, SOURCE, check, main, test


def introspect(build, what):
    return json.loads(subprocess.run(["meson", "introspect", build, what], capture_output=True, text=True, check=True).stdout)


@test
def runs(t):
    """Installed below another directory, it finds its programs and runs a machine."""
    prefix = next(o["value"] for o in introspect(BUILD, "--buildoptions") if o["name"] == "prefix")
    t.call(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", t.dir + "/root"]).expect(0)
    root = t.dir + "/root" + prefix
    r = t.call([root + "/bin/bulkhead", "demo", "--name", t.name]).expect(0)
    check("sandbox" not in r.err or "without" not in r.err, r)
    for path in ("libexec/bulkhead/bulkhead-seriald", "share/man/man1/bulkhead.1", "lib/systemd/system/bulkhead@.service"):
        check(os.path.exists(f"{root}/{path}"), path)


@test
def prefix(t):
    """All of it lies below the prefix, and what names a place names one there; a build without tests needs none of theirs."""
    build = t.dir + "/build"
    r = t.call(["meson", "setup", build, SOURCE, "--prefix=/opt/elsewhere", "-Dtests=disabled"])
    r.expect(0)
    check("criterion" not in r.out.lower() or "skipped" in r.out.lower(), r)
    for path in introspect(build, "--installed").values():
        check(path.startswith("/opt/elsewhere/"), path)
    check(not introspect(build, "--tests"), "no tests")
    with open(build + "/systemd/bulkhead@.service") as f:
        unit = f.read()
    check("ExecStart=/opt/elsewhere/bin/bulkhead " in unit, unit)


@test
def product(t):
    """`make run` builds everything that is installed and has to be built."""
    del t
    query = subprocess.run(["ninja", "-C", BUILD, "-t", "query", "product"], capture_output=True, text=True, check=True).stdout
    built = {line.strip().split(" ")[-1] for line in query.splitlines()}
    for path in introspect(BUILD, "--installed"):
        inside = os.path.relpath(path, BUILD)
        if not inside.startswith("..") and os.path.exists(path) and "/systemd/" not in path:
            check(inside in built or os.path.islink(path), f"{inside} is not in the target product of meson.build")


if __name__ == "__main__":
    main()
