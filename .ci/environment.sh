# Environments that outlive a run, one for each purpose, pyproject.toml and Python. Sourced by .ci/run,
# which holds the lock of $cache and has a copy of the sources in $temporary/source.

# Whether $1 is Python $2 (such as 3.10) and can make environments. Shims of pyenv, and Debian's
# python3 without python3-venv, may not.
works() {
    "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" 2>/dev/null
}

# The first Python $1 that works: on PATH, or one that pyenv keeps.
find_python() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if works "$candidate" "$1"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# environment PURPOSE PYTHON EXTRAS: makes the environment, unless it is there; $venv is its folder.
environment() {
    local purpose=$1 python=$2 extras=$3 version key
    version=$("$python" -c "import sys; print('%d.%d' % sys.version_info[:2])")
    # The settings of tools, from the first [tool.…] on, install nothing.
    key=$({
        sed '/^\[tool\./,$d' pyproject.toml
        cat .ci/environment.sh
        "$python" -VV
        echo "$extras"
    } | sha256sum | cut -c1-16)
    venv=$cache/$purpose-$version-$key
    [ -e "$venv/complete" ] && return
    # Those of earlier keys, each of more than 5 GB, and one that was left unfinished.
    rm -rf "$cache/$purpose-$version-"*
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install -qq --upgrade pip
    "$venv/bin/pip" install -qq --no-compile "$temporary/source[$extras]"
    # What is tested is the wheel of this run.
    "$venv/bin/pip" uninstall -qq -y gapfc
    fit_torch
    save_space
    touch "$venv/complete"
}

# A machine's own folder of wheels (find-links) may hold a build of torch that no torchvision was
# compiled for: then both come from the index.
fit_torch() {
    "$venv/bin/python" -c "import torchvision" 2>/dev/null && return
    PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' "$venv/bin/pip" install -qq --no-compile \
        --force-reinstall torch torchvision
    "$venv/bin/python" -c "import torchvision" || {
        echo "torch and torchvision do not fit together: $("$venv/bin/pip" freeze | grep torch)" >&2
        return 1
    }
}

# CUDA's libraries, 4 GB, are the same files in every environment.
save_space() {
    command -v hardlink >/dev/null || return 0
    hardlink -c -q -s 1M "$cache"/*/lib/python*/site-packages/nvidia || true
}
