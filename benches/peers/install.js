'use strict'
// Brings the peers here, on first use: pinned by the lock files of their folders, and no dependency of the package.

const { execFile } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')

const run = promisify(execFile)
const ROOT = path.join(__dirname, '..', '..')
const NODE = path.join(__dirname, 'node')
const GO = path.join(__dirname, 'go')
/** What is made is kept here. */
const MADE = path.join(__dirname, 'made')
const LIMIT = 'rocketmq-bench-limit'

/** Does it once in this process, however often it is asked for. */
const once = (make) => {
  let made
  return () => (made ??= make())
}

/** A digest of some files of a folder, for the name of what is made from them. */
function digest(folder, names) {
  const hash = crypto.createHash('sha256')
  for (const name of names) hash.update(name).update(fs.readFileSync(path.join(folder, name)))
  return hash.digest('hex').slice(0, 16)
}

/** The clients for Node.js, without the programs that packages want to run when they are installed. */
const installNode = once(async () => {
  const mark = path.join(NODE, 'node_modules', `.installed-${digest(NODE, ['package-lock.json'])}`)
  if (fs.existsSync(mark)) return
  await tool('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], NODE)
  fs.writeFileSync(mark, '')
})

/** The program of the Go client; resolves with its path. */
const buildGo = once(async () => {
  const sources = fs.readdirSync(GO).filter((name) => /\.(go|mod|sum)$/.test(name))
  const program = path.join(MADE, `go-${digest(GO, sources.sort())}`)
  if (!fs.existsSync(program)) await tool('go', ['build', '-mod=readonly', '-o', program, '.'], GO)
  return program
})

const limits = new Map()

/** The program that shows the limit; resolves with its path. @param {'release' | 'debug'} profile */
function buildLimit(profile = 'release') {
  if (!limits.has(profile)) limits.set(profile, makeLimit(profile))
  return limits.get(profile)
}

async function makeLimit(profile) {
  const flags = profile === 'release' ? ['--release'] : []
  const { stdout } = await tool('cargo', ['build', '--locked', '--message-format=json', '-p', LIMIT, ...flags], ROOT)
  const made = stdout.split('\n').find((line) => line.includes('"executable":"') && line.includes(LIMIT))
  return JSON.parse(made).executable
}

async function tool(command, args, cwd) {
  try {
    return await run(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 })
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error(`\`${command}\` is not installed`, { cause: error })
    const said = `${error.stderr ?? ''}`.trim().split('\n').slice(-10).join('\n')
    throw new Error(`\`${command} ${args.join(' ')}\` failed: ${said}`, { cause: error })
  }
}

module.exports = { GO, MADE, NODE, buildGo, buildLimit, installNode }
