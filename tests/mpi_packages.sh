#!/bin/sh
# Debian's MPICH and Open MPI, unpacked into the folder $1 (nothing is installed): for tests/e2e/test_mpi.py.
set -eu
into=$1
if [ -e "$into/.made" ]; then exit 0; fi
for need in apt-get dpkg; do
    command -v "$need" >/dev/null || { echo "test-mpi: no $need here; install MPICH and Open MPI yourself" >&2; exit 0; }
done
wanted="mpich libmpich-dev openmpi-bin libopenmpi-dev libpmi2-0"
mkdir -p "$into/debs"
cd "$into/debs"
packages=$(apt-get install --simulate --no-install-recommends $wanted | sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -v -E '^(gfortran|m4$|auto)')
if [ -n "$packages" ]; then apt-get download $packages; fi
for package in *.deb; do
    [ ! -e "$package" ] || dpkg -x "$package" ..
done
touch ../.made
