'use strict'
// npx rocketmq-orderly check-history, on histories that were recorded, or made of some.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { bin } = require('../../package.json')
const { check } = require('../../src/js/testing/history.js')

const ROOT = path.resolve(__dirname, '../..')
const CLI = path.join(ROOT, bin['rocketmq-orderly'])
const RECORDED = path.join(ROOT, '__tests__/support/fixtures/recorded.history')

let folder
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))))
afterEach(() => fs.rmSync(folder, { recursive: true }))

/** Runs it to its end. */
function checked(...args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, 'check-history', ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr })
    })
  })
}

const recorded = () => fs.readFileSync(RECORDED, 'utf8').trimEnd().split('\n').map(JSON.parse)

/** A file with these lines. */
function file(name, lines) {
  const where = path.join(folder, name)
  fs.writeFileSync(where, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  return where
}

test('a history as clients write it is without violations, in one file or one for each client', async () => {
  const { code, stdout, stderr } = await checked(RECORDED, '--lease-seconds', '30')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^lines: \d+, clients: 2, sends: 6, acknowledged: 6, /)
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('no violations')
  const names = [...new Set(recorded().map(({ by }) => by))]
  const files = names.map((name) =>
    file(
      name,
      recorded().filter(({ by }) => by === name),
    ),
  )
  expect((await checked(...files.toReversed())).stdout).toBe(stdout)
})

test('a violation is a timeline, and the exit code 1', async () => {
  // The first commit comes before its handler has ended.
  const lines = recorded()
  const commit = lines.findIndex(({ e, phase, offset }) => e === 'commit' && phase === 'sent' && offset > 0)
  const end = lines.findLastIndex(({ e, queue, outcome }, i) => {
    return i < commit && e === 'end' && outcome === 'success' && queue === lines[commit].queue
  })
  const [late] = lines.splice(end, 1)
  lines.splice(commit, 0, { ...late, t: lines[commit - 1].t })
  const { code, stdout } = await checked(file('spoiled', lines))
  expect(code).toBe(1)
  const { queue, offset } = lines[commit - 1]
  expect(stdout).toContain(`C5  ${queue} for `)
  expect(stdout).toContain(`: ${offset} is committed though ${late.offset} is not handled\n`)
  expect(stdout).toMatch(new RegExp(`^ {2}> +\\+[\\d.]+ s {2}${late.by} {2}start +${queue} ${late.offset}`, 'm'))
  expect(stdout).toMatch(new RegExp(`^ {2}> +\\+[\\d.]+ s {2}${late.by} {2}commit +${queue} ${offset} sent$`, 'm'))
})

test('--json has all of it', async () => {
  const send = recorded().find(({ e }) => e === 'settle')
  const lines = recorded().filter(({ e, send: number }) => e !== 'settle' || number !== send.send)
  const { code, stdout } = await checked(file('spoiled', lines), '--json')
  expect(code).toBe(1)
  const verdict = JSON.parse(stdout)
  expect(verdict).toMatchObject({ broken: { P10: 1 }, counts: { acknowledged: 5 }, odd: { lines: 0, told: [] } })
  expect(verdict.violations[0]).toMatchObject({
    invariant: 'P10',
    of: send.by,
    message: `1 sends have no outcome when it is closed, the first is #${send.send}`,
  })
  expect(verdict.violations[0].timeline.at(-1)).toMatchObject({ by: send.by, what: 'closed', marked: true })
})

test('another length of the lock', async () => {
  const lines = recorded()
  const start = lines.findLast(({ e }) => e === 'start')
  const late = lines.map((line) => (line.by === start.by && line.t >= start.t ? { ...line, t: line.t + 7e6 } : line))
  const where = file('late', late)
  expect((await checked(where)).code).toBe(0)
  const { code, stdout } = await checked(where, '--lease-seconds', '5')
  expect(code).toBe(1)
  expect(stdout).toContain('after the end of the lock, which was not renewed')
})

test('what is no history', async () => {
  const torn = path.join(folder, 'torn')
  fs.writeFileSync(torn, `${fs.readFileSync(RECORDED, 'utf8')}{"t":1,"by"`)
  const { code, stderr } = await checked(torn)
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`no line of a history: ${torn}:`) })
  expect(await checked(file('empty', []))).toMatchObject({ code: 1, stderr: 'there is no history in it\n' })
  const missing = await checked(path.join(folder, 'missing'))
  expect(missing).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('missing cannot be read: No such'),
  })
})

test('the event loop goes on meanwhile', async () => {
  const lines = recorded()
  const many = file('many', Array.from({ length: 500 }, () => lines).flat())
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  try {
    const { counts } = await check([many])
    expect(counts.lines).toBe(500 * lines.length)
  } finally {
    clearInterval(timer)
  }
  expect(turns).toBeGreaterThan(5)
})
