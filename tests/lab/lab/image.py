# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest image: built by image/build when its inputs have changed, plus the small part that changes often.

The root (packages) takes minutes to build; the files of image/guest, the init and the fence agent go into the initramfs, which
takes none, so that they can be worked on.
"""
import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def build() -> str:
    """The directory of the image for this tree; builds it if there is none. Talks on stderr."""
    done = subprocess.run([os.path.join(HERE, "image", "build")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError("the guest image could not be built; see above")
    return done.stdout.strip()


def pack_initramfs(image: str, out: str) -> None:
    """Writes the initramfs of this tree: the image's base and, as a second archive, our own files."""
    with tempfile.TemporaryDirectory() as tree:
        guest = os.path.join(tree, "guest")
        shutil.copytree(os.path.join(HERE, "image", "guest"), guest, symlinks=True)
        os.makedirs(os.path.join(guest, "usr/sbin"), exist_ok=True)
        shutil.copy(os.path.join(HERE, "fence_lab"), os.path.join(guest, "usr/sbin/fence_lab"))
        shutil.copy(os.path.join(HERE, "image", "guest.init"), os.path.join(tree, "init"))
        for folder, _, files in os.walk(tree):
            os.chmod(folder, 0o755)
            for name in files:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
        os.chmod(os.path.join(tree, "init"), 0o755)
        names = subprocess.run(["find", ".", "-print"], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
        ours = subprocess.run([os.path.join(image, "busybox"), "cpio", "-o", "-H", "newc", "-R", "0:0"], cwd=tree, input=names,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    with open(os.path.join(image, "base.cpio"), "rb") as f:
        base = f.read()
    with open(out + ".tmp", "wb") as f:
        f.write(base + b"\0" * (-len(base) % 512) + ours)
    os.rename(out + ".tmp", out)
