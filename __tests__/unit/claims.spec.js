'use strict'
// What the documents list, against what there is.

const fs = require('node:fs')
const path = require('node:path')
const ts = require('typescript')
const { DOCUMENTS, ROOT, blocks, text } = require('../support/documents')
const { CHANNELS, Producer, RocketMQError } = require('../..')
const { register } = require('../../prometheus')
const options = require('../../src/js/options')
const manifest = require('../../package.json')

const { scripts } = manifest

const sources = new Map()

/** A declaration of the public types, by its name. */
function declaration(file, name) {
  if (!sources.has(file)) {
    const source = fs.readFileSync(path.join(ROOT, file), 'utf8')
    sources.set(file, ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true))
  }
  return sources.get(file).statements.find((statement) => statement.name?.text === name)
}

const membersOf = (type) => type.members.map((member) => member.name.text)
const members = (file, name) => membersOf(declaration(file, name))

/** The cells of the nth table under a heading, without its head: an array for each row. */
function table(document, heading, nth = 1) {
  const lines = text(document).split('\n')
  const from = lines.findIndex((line) => new RegExp(`^#+ ${heading}$`).test(line))
  const section = lines.slice(from + 1)
  const next = section.findIndex((line) => line.startsWith('#'))
  const tables = [[]]
  for (const line of section.slice(0, next < 0 ? undefined : next)) {
    if (line.startsWith('|')) tables.at(-1).push(line)
    else if (tables.at(-1).length > 0) tables.push([])
  }
  const rows = (tables[nth - 1] ?? []).slice(2)
  expect(rows).not.toEqual([])
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** What stands in backquotes. */
const codes = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code)

/** A number as the documents write it, in milliseconds, bytes or as it is. */
function number(cell) {
  const [, digits, unit] = /^(\d+)( MiB)?$/.exec(cell) ?? []
  return digits === undefined ? undefined : Number(digits) * (unit ? 1024 * 1024 : 1)
}

const ofClient = options.producerOptions('g').client
const ofProducer = options.producerOptions('g').producer
const { consumer, concurrency, handlerTimeoutMs } = options.consumerOptions('g')
const ofConsumer = {
  ...consumer,
  concurrency,
  handlerTimeoutMs,
  suspendMs: consumer.suspendInitialMs,
  maxReconsumeTimes: consumer.maxReconsumeTimes === -1 ? 'Infinity' : consumer.maxReconsumeTimes,
}

test.each([
  ['ClientOptions', 1, ofClient, []],
  ['ProducerOptions', 2, ofProducer, []],
  ['PushConsumerOptions', 3, ofConsumer, []],
])('README has each of the %s, with its default', (name, nth, defaults, elsewhere) => {
  const rows = table('README.md', 'Options', nth).flatMap(([names, given]) => {
    const values = given.split(', ')
    return codes(names).map((option, i) => [option, values[i] ?? given])
  })
  expect([...rows.map(([option]) => option), ...elsewhere].sort()).toEqual([...members('index.d.ts', name)].sort())
  for (const [option, given] of rows) {
    const value = defaults[option]
    if (given === 'none') expect([option, value]).toEqual([option, Array.isArray(value) ? [] : undefined])
    else if (number(given) !== undefined) expect([option, number(given)]).toEqual([option, value])
    else if (typeof value === 'boolean') expect([option, given]).toEqual([option, String(value)])
    else if (value !== undefined && /^`'?\w+'?`$/.test(given))
      expect([option, given.replace(/[`']/g, '')]).toEqual([option, value])
  }
})

test.each([
  ['ClientOptions', ofClient],
  ['ProducerOptions', ofProducer],
  ['PushConsumerOptions', ofConsumer],
])('the comments of the %s tell the defaults', (name, defaults) => {
  const told = declaration('index.d.ts', name).members.flatMap((member) => {
    const comment = ts.getJSDocCommentsAndTags(member).map((doc) => doc.comment)
    const [, given] = /Default:? (?:`'?)?(\d+(?: MiB)?|\w+)(?:'?`)?\b/.exec(comment.join(' ')) ?? []
    const value = defaults[member.name.text]
    return given === undefined || value === undefined || Array.isArray(value) ? [] : [[member, number(given) ?? given]]
  })
  expect(told.length).toBeGreaterThan(2)
  for (const [{ name: option }, given] of told) {
    expect([option.text, given]).toEqual([
      option.text,
      typeof defaults[option.text] === 'boolean' ? String(defaults[option.text]) : defaults[option.text],
    ])
  }
})

test('README tells of each prefetch default', () => {
  const [, given] = table('README.md', 'Options', 3).find(([names]) => names === '`prefetch`')
  const { prefetchMessages, prefetchBytes } = consumer
  expect(given).toBe(`\`{ messages: ${prefetchMessages}, bytes: ${prefetchBytes / 1024 / 1024} MiB }\``)
})

test('README has each error code once', () => {
  const known = declaration('index.d.ts', 'ErrorCode').type.types.map((type) => type.literal.text)
  const listed = table('README.md', 'Errors').flatMap(([names]) => codes(names))
  expect(listed.sort()).toEqual(known.sort())
})

test('README tells which codes are retriable', () => {
  const rows = table('README.md', 'Errors')
  expect(rows.map(([code, , , retriable]) => [code, retriable === 'yes'])).toEqual(
    rows.map(([code]) => [code, new RocketMQError(codes(code)[0], 'x').retriable]),
  )
})

test('docs/operations.md has each event', () => {
  const [, cell] = table('docs/operations.md', 'Is it healthy\\?').find(([call]) => call === 'events')
  const known = [...members('index.d.ts', 'ClientEvents'), ...members('index.d.ts', 'ConsumerEvents')]
  expect(codes(cell).sort()).toEqual(known.sort())
})

/** Every metric, as a registry gets it. */
function prometheusMetrics() {
  const registered = new Map()
  const registry = {
    getSingleMetric: (name) => registered.get(name),
    registerMetric: (metric) => registered.set(metric.name, metric),
  }
  register(new Producer({ groupId: 'g', nameServer: 'a:1' }), { registry })()
  return [...registered.values()]
}

test('docs/observing.md has each channel, and each metric of Prometheus with its type and labels', () => {
  const channels = table('docs/observing.md', 'Channels').flatMap(([name]) => codes(name))
  expect(channels.sort()).toEqual(Object.values(CHANNELS).sort())
  const told = table('docs/observing.md', 'Prometheus').map(([name, type]) => [codes(name)[0], type])
  expect(told.sort()).toEqual(
    prometheusMetrics()
      .map(({ name, type }) => [name, type])
      .sort(),
  )
})

test('the board for Grafana shows each metric, and no other', () => {
  const { panels } = JSON.parse(fs.readFileSync(path.join(ROOT, 'docs/grafana/rocketmq-orderly.json'), 'utf8'))
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  const shown = new Set(expressions.flatMap((expr) => expr.match(/rocketmq_orderly_\w+/g)))
  const known = prometheusMetrics().map(({ name, type }) => (type === 'histogram' ? `${name}_bucket` : name))
  // Bytes, and numbers of queues, are for a closer look.
  const elsewhere = ['_bytes', '_queues', '_keys'].flatMap((end) => known.filter((name) => name.endsWith(end)))
  expect([...shown].filter((name) => !known.includes(name))).toEqual([])
  expect(known.filter((name) => !shown.has(name) && !elsewhere.includes(name))).toEqual([])
})

test('docs/operations.md and its example pass over the same problems', () => {
  const listed = (code) => [...code.matchAll(/'(ERR_\w+)'/g)].map(([, name]) => name)
  const [recipe] = blocks('docs/operations.md').filter(({ heading }) => heading === 'Probes')
  expect(listed(recipe.code)).toEqual(listed(text('examples/probes.js')))
  const known = declaration('index.d.ts', 'ErrorCode').type.types.map((type) => type.literal.text)
  expect(listed(recipe.code).filter((code) => !known.includes(code))).toEqual([])
})

test('docs/testing.md has each option, effect and condition', () => {
  const named = (heading, nth) =>
    table('docs/testing.md', heading, nth)
      .flatMap(([names]) => codes(names))
      .sort()
  expect(named('A broker for each test')).toEqual(members('testing.d.ts', 'TestBrokerOptions').sort())
  expect(named('Faults', 2)).toEqual(members('testing.d.ts', 'FaultMatch').sort())
  const [, union] = declaration('testing.d.ts', 'Fault').type.types
  const effects = union.type.types.map((type) => membersOf(type)[0])
  const shown = table('docs/testing.md', 'Faults').map(([, use]) => use)
  expect(effects.filter((effect) => !shown.some((use) => use.includes(`${effect}:`)))).toEqual([])
})

test('each entry of the package is packed, with its types', () => {
  const targets = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(targets))
  const named = targets(manifest.exports).map((target) => target.replace('./', ''))
  expect(named.length).toBeGreaterThan(12)
  expect(named.filter((name) => !fs.existsSync(path.join(ROOT, name)))).toEqual([])
  expect(named.filter((name) => name !== 'package.json' && !manifest.files.includes(name))).toEqual([])
})

test('each npm script that a document names is there', () => {
  const named = DOCUMENTS.flatMap((document) =>
    [...text(document).matchAll(/npm (?:run ([\w:]+)|test\b)/g)].map(([, script = 'test']) => script),
  )
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((script) => scripts[script] === undefined)).toEqual([])
})

test('each file that a command names is there', () => {
  const commands = DOCUMENTS.flatMap((document) => blocks(document).filter(({ language }) => language === 'sh'))
  const files = commands.flatMap(({ code }) => [...code.matchAll(/\bnode (\S+)/g)].map(([, file]) => file))
  expect(files.length).toBeGreaterThan(3)
  // What `tsc --project examples` makes of a source.
  const source = (file) => file.replace(/^target\/(examples\/.*)\.js$/, '$1.ts')
  expect(files.filter((file) => !fs.existsSync(path.join(ROOT, source(file))))).toEqual([])
})

test('README’s two commands are run by CI', () => {
  const ci = fs.readFileSync(path.join(ROOT, '.ci/run'), 'utf8').split('\n')
  const commands = blocks('README.md').filter(({ heading }) => heading === 'Try it')
  expect(commands.map(({ code }) => code)).toEqual(['npm ci && npm run demo', 'npm ci && npm test'])
  const run = ci.filter((line) => line.startsWith('npm ')).flatMap((line) => line.split(' && '))
  for (const command of ['npm ci --no-audit --no-fund', 'npm run demo', 'npm test']) expect(run).toContain(command)
})

test('each link within the repository leads somewhere', () => {
  const headings = (document) =>
    [...text(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    )
  const broken = DOCUMENTS.flatMap((document) =>
    [...text(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].filter(([, to, anchor]) => {
      const target = to === '' ? document : path.join(path.dirname(document), to)
      if (!fs.existsSync(path.join(ROOT, target))) return true
      return anchor !== undefined && !headings(target).includes(anchor)
    }),
  )
  expect(broken.map(([link]) => link)).toEqual([])
})

test('the rooms of the architecture are there', () => {
  const rooms = (heading, under) =>
    table('docs/architecture.md', heading).flatMap(([where]) =>
      [...where.matchAll(/`([^`]+)`/g)].map(([, name]) => path.join(under, name)),
    )
  const named = [
    ...rooms('The rooms', ''),
    ...rooms('Inside the clients', 'crates/client/src'),
    ...rooms('Inside the test broker', 'crates/test-broker/src'),
  ]
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((name) => !fs.existsSync(path.join(ROOT, name)))).toEqual([])
  const floors = fs.readdirSync(path.join(ROOT, 'crates/test-broker/src'), { withFileTypes: true })
  const folders = floors.filter((entry) => entry.isDirectory() && entry.name !== 'tests').map((entry) => entry.name)
  expect(folders.filter((folder) => !named.includes(`crates/test-broker/src/${folder}`))).toEqual([])
})

test('SECURITY.md names tests that there are', () => {
  const named = ['A hostile peer', 'A hostile message', 'A leaking log'].flatMap((heading) =>
    table('SECURITY.md', heading).map(([, , shown]) => shown),
  )
  const missing = named.filter((shown) => {
    const [file, name] = codes(shown)
    // A whole document or a whole file says it.
    const files = file ? [file] : [...shown.matchAll(/docs\/[\w-]+\.md/g)].map(([document]) => document)
    if (files.length === 0 || files.some((each) => !fs.existsSync(path.join(ROOT, each)))) return true
    return name !== undefined && !new RegExp(`(fn |test\\(')${name}[(']`).test(text(file))
  })
  expect(named.length).toBeGreaterThan(15)
  expect(missing).toEqual([])
})

test('each target for fuzzers has a program, a corpus and a name in SECURITY.md', () => {
  const source = text('crates/bad-input/src/targets.rs')
  const targets = [...source.matchAll(/^ {4}target\("(\w+)"/gm)].map(([, name]) => name)
  expect(targets.length).toBeGreaterThan(8)
  const programs = [...text('fuzz/Cargo.toml').matchAll(/\[\[bin\]\]\nname = "(\w+)"/g)].map(([, name]) => name)
  expect(programs.sort()).toEqual([...targets].sort())
  expect(fs.readdirSync(path.join(ROOT, 'crates/bad-input/corpus')).sort()).toEqual([...targets].sort())
  const listed = codes(/\*\*Fuzzing\.\*\*[^*]*/.exec(text('SECURITY.md'))[0])
  expect(targets.filter((name) => !listed.includes(name))).toEqual([])
})
