#!/usr/bin/env bash
# Sets up Greffier in this folder and runs it: `./install.sh demo` or `./install.sh test`. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
./install.sh demo [OPTION…]   set up, then run `greffier demo`: the main job, shown in about two minutes
./install.sh test [OPTION…]   set up, then run the tests (pytest); options go to pytest

Setting up means: the Debian packages that are missing (asks sudo when you are not root), a virtual
environment in .venv, and the Python packages of pyproject.toml. Doing it again is quick.

  GREFFIER_VENV=FOLDER    virtual environment elsewhere than in .venv
  GREFFIER_PYTHON=PROGRAM Python 3.11 or later, when `python3` is older
PIP_* variables, pip.conf and the configuration of apt are used as they are.
TEXT
}

say() { printf '\033[1m» %s\033[0m\n' "$*" >&2; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# Prints the Debian packages that what follows needs and this machine lacks, for the command $1.
missing_packages() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v age >/dev/null || echo age
    [[ $1 == test ]] || return 0
    command -v sipp >/dev/null || echo sip-tester
    command -v tcpdump >/dev/null || echo tcpdump
    command -v cc >/dev/null || printf '%s\n' gcc libc6-dev
    command -v editcap >/dev/null || echo wireshark-common
    command -v ip >/dev/null || echo iproute2
    command -v openssl >/dev/null || echo openssl
    command -v jq >/dev/null || echo jq
    command -v systemd-analyze >/dev/null || echo systemd
    command -v Xvfb >/dev/null || echo xvfb
    command -v xdotool >/dev/null || echo xdotool
    command -v swtpm >/dev/null || printf '%s\n' swtpm libtss2-tcti-swtpm0
    command -v tpm2_unseal >/dev/null || echo tpm2-tools
    # Ubuntu's Chromium is a snap, which no driver in a package goes with: the tests of the agent's page are skipped there.
    if ! grep -qx 'ID=ubuntu' /etc/os-release 2>/dev/null; then
        command -v chromium >/dev/null || echo chromium
        command -v chromedriver >/dev/null || echo chromium-driver
    fi
    # The desk client's light is drawn by any Python that has tkinter, this one or the system's.
    "$python" -c 'import tkinter' 2>/dev/null || /usr/bin/python3 -c 'import tkinter' 2>/dev/null || echo python3-tk
    # evdev comes as source only
    "$python" -c 'import pathlib, sysconfig as s; (pathlib.Path(s.get_path("include")) / "Python.h").stat()' 2>/dev/null ||
        echo python3-dev
}

install_packages() {
    local -a as_root=()
    command -v apt-get >/dev/null || fail "these are needed and missing, and there is no apt-get here to install them: $*
(names of Debian packages; install what your system calls them, then run this again)"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "installing $* needs root, and there is no sudo: run as root:
  apt-get update && apt-get install $*"
        as_root=(sudo)
    fi
    say "installing Debian packages: $*"
    "${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed; trying with the lists that are here"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 ||
        fail "apt-get could not install $*: see above (is there a network, are the sources right?)"
}

# One line that changes whenever the environment has to be made again, for the extra $1.
fingerprint() {
    printf '%s %s %s %s\n' "$1" "$("$python" --version)" "$PWD" \
        "$(cat pyproject.toml hatch_build.py agent/media/core.c agent/media/compiling.py | sha256sum)"
}

install_python_packages() {
    local extra=$1 stamp=$venv/.greffier-stamp
    if [[ -x $venv/bin/python && -f $stamp ]]; then
        grep -qxF -e "$(fingerprint "$extra")" -e "$(fingerprint test)" "$stamp" && return
    fi
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        say "making a virtual environment in $venv"
        "$python" -m venv --clear "$venv" || fail "could not make a virtual environment in $venv"
    fi
    say "installing Python packages (a few minutes the first time)"
    rm -f "$stamp"
    "$venv/bin/python" -m pip install --quiet --editable ".[$extra]" ||
        fail "pip could not install the packages of pyproject.toml: see above (is there a network? PIP_* and pip.conf are used)"
    [[ -e agent/media/libcore.so ]] ||
        say "there is no C compiler here: packets will be taken in with numpy, at twice the CPU (apt install gcc libc6-dev)"
    fingerprint "$extra" >"$stamp"
}

cd "$(dirname "${BASH_SOURCE[0]}")"
command=${1:-}
case $command in
    demo | test) shift ;;
    -h | --help | help)
        usage
        exit
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac

venv=${GREFFIER_VENV:-$PWD/.venv}
python=${GREFFIER_PYTHON:-python3}
command -v "$python" >/dev/null || install_packages python3 python3-venv
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or later is needed, $python is $("$python" --version); name another with GREFFIER_PYTHON=…"

mapfile -t missing < <(missing_packages "$command")
((${#missing[@]} == 0)) || install_packages "${missing[@]}"
install_python_packages "$command"

export PATH="$venv/bin:$PATH"
case $command in
    demo) exec "$venv/bin/greffier" demo "$@" ;;
    test) exec "$venv/bin/python" -m pytest -m 'not slow' "$@" ;;
esac
