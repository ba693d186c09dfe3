"""A network namespace of its own for a test, where the system lets one be made."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

ISOLATED = "TENSOU_ISOLATED"


def loopback_up():
    """A new network namespace has its loopback down (netdevice(7): SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


def isolate(program):
    """Starts `program` again in one."""
    if os.environ.get(ISOLATED):
        loopback_up()
        return
    wrapped = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and subprocess.run([*wrapped, "true"], check=False).returncode == 0:
        os.environ[ISOLATED] = "1"
        os.execvp("unshare", [*wrapped, sys.executable, program, *sys.argv[1:]])
