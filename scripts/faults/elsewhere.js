'use strict'
// Has processes believe that they are elsewhere: at another time, under another number. See elsewhere.c.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** The library, made by the C compiler that Rust needs, too. */
function compiled(folder) {
  const library = path.join(folder, 'elsewhere.so')
  const source = path.join(__dirname, 'elsewhere.c')
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source], { stdio: ['ignore', 'inherit', 'inherit'] })
  return library
}

class Elsewhere {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))
  #file = path.join(this.#folder, 'ahead')

  constructor() {
    this.jump(0)
    /** The environment in which processes believe that. */
    this.env = { LD_PRELOAD: compiled(this.#folder), WALL_CLOCK_FILE: this.#file }
  }

  /** From now on their wall clocks are so many seconds ahead of the machine's. */
  jump(seconds) {
    const ahead = Buffer.alloc(8)
    if (os.endianness() === 'LE') ahead.writeBigInt64LE(BigInt(seconds))
    else ahead.writeBigInt64BE(BigInt(seconds))
    // Not made anew: they have it in their memory.
    fs.writeFileSync(this.#file, ahead, { flag: fs.existsSync(this.#file) ? 'r+' : 'w' })
  }

  remove() {
    fs.rmSync(this.#folder, { recursive: true })
  }
}

module.exports = { Elsewhere }
