'use strict'

const KIB_PER_MIB = 1024

/** The command line that runs this one in a process to which the kernel gives no more private memory than that. @param {string[]} command  @param {number} [dataMiB] without it as it is */
function limited(command, dataMiB) {
  return dataMiB ? ['sh', '-c', `ulimit -d ${dataMiB * KIB_PER_MIB}; exec "$0" "$@"`, ...command] : command
}

module.exports = { limited }
