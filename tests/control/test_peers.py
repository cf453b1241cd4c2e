"""Who may talk to a control socket: root, the service's user and its group; the file's mode is not all there is."""

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.control.server import may_talk

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("user", "group", "may"), [(NOBODY, NOBODY, False), (NOBODY, 0, True), (0, 0, True)])
def test_another_users_process_is_turned_away(user: int, group: int, may: bool) -> None:
    with TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as server:
        Path(name).chmod(0o711)
        path = Path(name) / "control.sock"
        server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.recv(1)
            os._exit(0)
        connection, _ = server.accept()
        with connection:
            assert may_talk(connection) is may
        os.waitpid(child, 0)
