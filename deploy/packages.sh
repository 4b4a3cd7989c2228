# Sourced by the two commands: installs the Debian packages named in its arguments that are missing.
install_packages() {
    local package missing=() as_root=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "Installing: ${missing[*]}"
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

build_packages=(g++ make cmake ninja-build ccache git git-lfs curl procps python3 sqlite3 sudo unzip
    libpoco-dev libsqlitecpp-dev libsqlite3-dev libspdlog-dev libtomlplusplus-dev libcli11-dev
    libarchive-dev zlib1g-dev libssl-dev libgtest-dev libgmock-dev)
slurm_packages=(slurmctld slurmd slurm-client)
slurm_accounting_packages=(slurmdbd mariadb-server-core mariadb-client-core)
sge_packages=(msmtp-mta gridengine-master gridengine-exec gridengine-client)  # the first: a mail program without a daemon
oar_packages=(mmdebstrap)  # It makes the folder in which OAR is installed.
diracx_packages=(python3 python3-venv git openssl curl)  # DiracX itself comes from Python's package index.
dirac_packages=(g++ python3-dev libssl-dev)  # What the commands of a classic DIRAC need besides.
arc_packages=(nordugrid-arc-arex nordugrid-arc-plugins-needed openssl curl time)
container_packages=(podman runc uidmap busybox-static docker-registry apache2-utils squashfs-tools)
engine_packages=("${slurm_packages[@]}" "${slurm_accounting_packages[@]}" "${sge_packages[@]}" "${oar_packages[@]}"
    "${diracx_packages[@]}" "${dirac_packages[@]}" "${arc_packages[@]}" "${container_packages[@]}")
fuzz_packages=(clang libclang-rt-14-dev)
