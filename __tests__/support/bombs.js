'use strict'
// Bodies of 40 MiB in a few bytes, as anybody could send them, and the sysFlag of each.

const { deflateSync } = require('node:zlib')

const MIB = 1024 * 1024

/** Blocks of 128 KiB of one letter, in a frame that says nothing of its size. */
function zstd() {
  const block = [0x02, 0x00, 0x10, 0x78]
  const blocks = Array.from({ length: 320 }, () => block).flat()
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, ...blocks, 0x01, 0x00, 0x00])
}

/** Blocks of nearly 4 MiB: one letter, and again and again the letter before. */
function lz4() {
  const block = Buffer.concat([Buffer.from([0x1f, 0x78, 1, 0]), Buffer.alloc(16_440, 0xff), Buffer.alloc(2)])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(block.length)
  const blocks = Array.from({ length: 10 }, () => [length, block]).flat()
  return Buffer.concat([Buffer.from('04224d18607073', 'hex'), ...blocks, Buffer.alloc(4)])
}

module.exports = {
  BOMBS: [
    { kind: 'zlib', sysFlag: 0x301, body: deflateSync(Buffer.alloc(40 * MIB)) },
    { kind: 'lz4', sysFlag: 0x101, body: lz4() },
    { kind: 'zstd', sysFlag: 0x201, body: zstd() },
  ],
}
