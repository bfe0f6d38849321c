'use strict'
// What must not outlive this process, however it ends: Java processes and their store.

const { spawn } = require('node:child_process')

/**
 * A small shell that waits for the end of its standard input, which comes when we end, SIGKILL included, and then
 * kills the process ids it was told last and removes the folder. In a session of its own, so that Ctrl-C spares it.
 */
const SCRIPT = `
trap '' INT HUP TERM
pids=
while IFS= read -r line; do pids=$line; done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
[ -z "$1" ] || rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

class Guard {
  #shell
  #pids = new Set()

  /** @param {string | undefined} folder removed at the end */
  constructor(folder) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', folder ?? ''], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#shell.stdin.on('error', () => {})
    this.#shell.unref()
  }

  /** Watches a child process until it ends. */
  watch(child) {
    this.#pids.add(child.pid)
    this.#tell()
    child.once('exit', () => {
      this.#pids.delete(child.pid)
      this.#tell()
    })
  }

  /** Ends the guard, and what it still watches. */
  release() {
    return new Promise((resolve) => {
      this.#shell.once('exit', resolve)
      this.#shell.ref()
      this.#shell.stdin.end()
    })
  }

  #tell() {
    if (this.#shell.stdin.writable) this.#shell.stdin.write(`${[...this.#pids].join(' ')}\n`)
  }
}

module.exports = { Guard }
