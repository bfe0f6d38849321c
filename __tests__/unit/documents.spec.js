'use strict'
// Every piece of code in the documents and in the comments of the public types compiles in the strictest project of a reader.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const ts = require('typescript')
const { DOCUMENTS, ROOT, allBlocks, text } = require('../support/documents')

/** Declares what a piece may leave out, as it is the reader's own. */
const READER = path.join(ROOT, '__tests__/support/reader')
/** Declares what is used of packages that a reader installs. */
const PACKAGES = path.join(READER, 'alicloud-credentials.d.ts')

let project

beforeAll(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'documents-')))
  fs.mkdirSync(path.join(project, 'node_modules'))
  fs.symlinkSync(ROOT, path.join(project, 'node_modules/rocketmq-orderly'))
  for (const name of ['@jest', '@opentelemetry', '@types', 'prom-client']) {
    fs.symlinkSync(path.join(ROOT, 'node_modules', name), path.join(project, 'node_modules', name))
  }
  fs.copyFileSync(path.join(READER, 'reader.d.ts'), path.join(project, 'reader.d.mts'))
})
afterAll(() => fs.rmSync(project, { recursive: true }))

/** What the compiler says against these pieces, by document and line. */
function complaints(pieces) {
  const files = pieces.map(({ document, line, code }, i) => {
    const file = path.join(project, `${document.replaceAll('/', '+')}@${i}.mts`)
    fs.writeFileSync(file, '\n'.repeat(line - 1) + code) // so that its lines are those of the document
    return file
  })
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitReturns: true,
    noEmit: true,
    skipLibCheck: true, // theirs; ours are checked with everything in __tests__/types
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.Node16,
    types: ['node'],
    typeRoots: [path.join(project, 'node_modules/@types')],
  }
  const program = ts.createProgram([...files, path.join(project, 'reader.d.mts'), PACKAGES], options)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const said = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (!file) return said
    const [document] = path.basename(file.fileName).replaceAll('+', '/').split('@')
    return `${document}: line ${file.getLineAndCharacterOfPosition(start).line + 1}: ${said}`
  })
}

/** Calls in the tables, as `broker.fault({ request: 'send', nth: 1 })`: what is written in full, without "…". */
function inlineCalls() {
  return DOCUMENTS.flatMap((document) =>
    text(document)
      .split('\n')
      .flatMap((line, i) =>
        [...line.matchAll(/`((?:await )?broker\.\w+\([^`…]*\))`/g)].map(([, code]) => ({
          document,
          line: i + 1,
          code,
        })),
      ),
  )
}

/** A piece that must not compile, so that silence means something. */
const WRONG = { document: 'wrong', line: 7, code: 'producer.sendOrderly({ topic: 7 })' }

test('every block compiles, and every call in a table', () => {
  // `text` is a picture.
  const blocks = allBlocks().filter(({ language }) => language !== 'sh' && language !== 'text')
  const calls = inlineCalls()
  expect(blocks.filter(({ language }) => language !== 'ts')).toEqual([])
  expect(blocks.length).toBeGreaterThan(10)
  expect(calls.length).toBeGreaterThan(10)
  expect(complaints([...blocks, ...calls, WRONG])).toEqual([
    expect.stringMatching(/^wrong: line 7: Expected 2-3 arguments/),
  ])
}, 120_000) // the compiler, on a machine with much else to do
