"""A real S3 server that locks: one node of Ceph (monitor, store, RADOS Gateway) on loopback, its objects in memory.

It needs Debian's ceph-mon, ceph-osd and radosgw. A day of a lifecycle rule lasts `DAY_S` seconds.
"""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from servers import ACCESS, SECRET, S3Server, needs

DAY_S = 1
KMS_KEY = "site-key"
"""Known to the server's key management."""
PATIENCE_S = 60
_CONF = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
keyring = {root}/keyring
run_dir = {root}
admin_socket = {root}/$name.asok
log_file = {root}/$name.log
mon_data = {root}/mon
osd_data = {root}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
[client.rgw]
rgw_data = {root}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_enable_apis = s3
rgw_dns_name = s3.test
rgw_lc_debug_interval = {day}
rgw_bucket_quota_ttl = 0
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms}=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
rgw_thread_pool_size = 32
"""


class RadosGateway(S3Server):
    """The server and what it stands on. `admin` is for what S3 has no words for."""

    def __init__(self, root: Path, ports: list[int]) -> None:
        super().__init__([], ports[0], None)
        self._root = root
        self._conf = root / "ceph.conf"
        self._running: list[subprocess.Popen[bytes]] = []
        self._fsid = str(uuid.uuid4())
        fields = {"fsid": self._fsid, "mon": ports[1], "root": root, "port": ports[0], "day": DAY_S, "kms": KMS_KEY}
        self._conf.write_text(_CONF.format_map(fields))
        self._mon = f"[v2:127.0.0.1:{ports[1]}]"

    def start(self) -> None:
        """Make the cluster, start it, and wait until it answers HTTP."""
        for name in ("mon", "osd", "rgw"):
            (self._root / name).mkdir()
        chart, keyring = self._root / "monmap", self._root / "keyring"
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        all_rights = [word for of in ("mon", "osd", "mgr") for word in ("--cap", of, "allow *")]
        for who in ("client.admin", "client.rgw", "osd.0"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", who, *all_rights)
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", self._mon, chart)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", chart, "--keyring", keyring)
        self._serve("ceph-mon", "-i", "a")
        store = str(uuid.uuid4())
        self._run("ceph", "osd", "new", store)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here")
        self._serve("ceph-osd", "-i", "0")
        self._serve("radosgw", "-n", "client.rgw")
        self._answering()
        keys = ("--access-key", ACCESS, "--secret-key", SECRET)
        self.admin("user", "create", "--uid", "tests", "--display-name", "tests", *keys)

    def kill(self) -> None:
        """All of it, as a power cut would. What was stored is gone."""
        for process in reversed(self._running):
            process.kill()
            process.wait()
        self._running.clear()

    def make_bucket(self, name: str, *, locks: bool = False) -> None:
        """An empty bucket, in which objects can be locked or not."""
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)

    def admin(self, *words: str) -> Any:
        """What `radosgw-admin` answers, if anything."""
        said = self._run("radosgw-admin", *words)
        with suppress(ValueError):
            return json.loads(said)
        return None

    def _run(self, program: str, *words: str | Path) -> bytes:
        done = subprocess.run([program, "-c", self._conf, *words], capture_output=True, timeout=PATIENCE_S, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} {words}: {done.stderr[-1000:].decode()}")
        return done.stdout

    def _serve(self, program: str, *words: str) -> None:
        with (self._root / f"{program}.err").open("wb") as said:
            process = subprocess.Popen([program, "-c", self._conf, "-f", *words], stdout=said, stderr=said)
        self._running.append(process)

    def _answering(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if any(process.poll() is not None for process in self._running) or time.monotonic() > deadline:
                raise RuntimeError("the gateway does not answer")
            time.sleep(0.05)


@contextmanager
def rados_gateway(root: Path, ports: list[int]) -> Iterator[RadosGateway]:
    """The server, started, and gone at the end. Skips the test where Ceph is not installed, but never in CI."""
    for program, package in (("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("radosgw", "radosgw")):
        needs(program, package)
    gateway = RadosGateway(root, ports)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.kill()
