#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for the tests with the marker `slurm`.
#     slurm_node.sh start FOLDER     returns once the node takes jobs
#     slurm_node.sh stop FOLDER
# Needs root, and Debian's packages slurm-wlm and munge. Daemons are plain processes on the loopback device: no systemd, no
# cgroups, no accounting. It has one GPU by name, so that what asks for one runs. A Slurm that is there already stays untouched.
set -euo pipefail

config=/etc/slurm
# Jobs find the cluster by these two files alone: Snakemake clears SLURM_CONF from their environment.
mark="# a test's cluster: tests/workflow/slurm_node.sh"

refuse() {
  echo "no Slurm for tests: $1" >&2
  exit 1
}

# Processes are followed by their group, so that Slurm ends also those whose parent has gone: Snakemake waits for itself for
# ever where SIGTERM comes while it sees to a failed job (a signal handler that takes a lock which its own thread holds).
configure() {
  local node cpus memory
  node=$(hostname -s)
  cpus=$(nproc)
  memory=$(awk '/^MemTotal/ {print int(0.9 * $2 / 1024)}' /proc/meminfo)
  cat <<END
$mark
ClusterName=tests
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:1 State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

ours() {
  [[ -f $config/slurm.conf && $(head -n 1 "$config/slurm.conf") == "$mark" ]]
}

start() {
  [[ $(id -u) == 0 ]] || refuse "it takes root to start one"
  local program
  for program in munged slurmctld slurmd sbatch srun scancel; do
    command -v "$program" >/dev/null || refuse "$program is missing: apt-get install slurm-wlm munge"
  done
  [[ ! -e $config/slurm.conf ]] || ours || refuse "this machine belongs to a cluster already, see $config/slurm.conf"
  stop
  rm -rf "$folder"
  mkdir -p "$folder"/{state,spool} "$config"
  chmod 0755 "$folder"  # of the socket's folder munged asks for this, and that nobody else writes to those above
  head -c 1024 /dev/urandom >"$folder/munge.key"
  chmod 0400 "$folder/munge.key"
  configure >"$config/slurm.conf"
  echo "Name=gpu File=/dev/null" >"$config/gres.conf"
  munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
  slurmctld
  slurmd
  local _
  for _ in {1..150}; do
    if [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]]; then return; fi
    sleep 0.2
  done
  tail -n 5 "$folder"/*.log >&2
  stop
  refuse "the node did not become idle"
}

stop() {
  ours || return 0
  scancel --user=root --signal=KILL --full 2>/dev/null || true
  local name pid
  for name in slurmd slurmctld munged; do
    if [[ -f $folder/$name.pid ]]; then
      pid=$(<"$folder/$name.pid")
      kill "$pid" 2>/dev/null || true
      while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
  done
  rm -f "$config/slurm.conf" "$config/gres.conf"
}

folder=${2:-}
[[ $folder == /* && ${1:-} =~ ^(start|stop)$ ]] || { echo "usage: slurm_node.sh start|stop FOLDER" >&2; exit 2; }
"$1"
