'use strict'
// The public types in projects of every kind. What they say in detail is in __tests__/types.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const ts = require('typescript')

const ROOT = path.resolve(__dirname, '../..')

// The compiler has much to do.
jest.setTimeout(300_000)

let project

beforeAll(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'types-')))
  fs.mkdirSync(path.join(project, 'node_modules'))
  fs.symlinkSync(ROOT, path.join(project, 'node_modules/rocketmq-orderly'))
  fs.symlinkSync(path.join(ROOT, 'node_modules/@types'), path.join(project, 'node_modules/@types'))
})
afterAll(() => fs.rmSync(project, { recursive: true }))

/** Parsed once: the declarations of the language and of Node take most of the time. */
const parsed = new Map()
function parseOnce(host) {
  const parse = host.getSourceFile
  host.getSourceFile = (file, target, ...rest) => {
    if (!file.endsWith('.d.ts') || file.startsWith(ROOT + path.sep + 'index')) return parse(file, target, ...rest)
    const key = `${file} ${JSON.stringify(target)}`
    if (!parsed.has(key)) parsed.set(key, parse(file, target, ...rest))
    return parsed.get(key)
  }
  return host
}

/** The compiler's complaints about this text as a file of a project with these options. */
function complaints(name, text, given) {
  const file = path.join(project, name)
  fs.writeFileSync(file, text)
  const options = {
    ...given,
    strict: true,
    noEmit: true,
    skipLibCheck: true, // theirs; ours are checked with everything in __tests__/types
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
    typeRoots: [path.join(project, 'node_modules/@types')],
  }
  const program = ts.createProgram([file], options, parseOnce(ts.createCompilerHost(options)))
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

const imported = `
  import { ConsumeStatus, Producer, PushConsumer, RocketMQError, type ErrorCode } from 'rocketmq-orderly'
  export const producer: Producer = new Producer({ groupId: 'g', nameServer: 'a:1' })
  export const consumer = new PushConsumer('g', true).subscribe('orders', async () => ConsumeStatus.CONSUME_SUCCESS)
  export const code = (error: RocketMQError): ErrorCode => error.code`
const required = `
  import rocketmq = require('rocketmq-orderly')
  export const producer: rocketmq.Producer = new rocketmq.Producer('g', true)`
const { ModuleKind, ModuleResolutionKind } = ts

test.each([
  ['ES modules', 'a.mts', imported, { module: ModuleKind.Node16 }],
  ['CommonJS', 'a.cts', required, { module: ModuleKind.Node16 }],
  ['CommonJS with import', 'b.cts', imported, { module: ModuleKind.Node16 }],
  ['a bundler', 'c.ts', imported, { module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.Bundler }],
  ['old CommonJS', 'd.ts', required, { module: ModuleKind.CommonJS, moduleResolution: ModuleResolutionKind.Node10 }],
])('%s', (_kind, name, text, options) => {
  // Unresolved types would be `any`, which may be a number.
  const wrong = '// @ts-expect-error\nexport const wrong: number = producer'
  expect(complaints(name, `${text}\n${wrong}`, options)).toEqual([])
})

test('every declaration has a comment, and so has every member of it', () => {
  const file = path.join(ROOT, 'index.d.ts')
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true)
  const bare = []
  const look = (node, name) => {
    const isDocumented = ts.getJSDocCommentsAndTags(node).length > 0
    if (!isDocumented) bare.push(name)
    for (const member of node.members ?? []) look(member, `${name}.${member.name?.getText() ?? 'constructor'}`)
  }
  for (const statement of source.statements) {
    if (ts.isExportDeclaration(statement) || ts.isImportDeclaration(statement)) continue
    if (ts.isVariableStatement(statement)) {
      const [declaration] = statement.declarationList.declarations
      if (!declaration.name.getText().startsWith('outcome')) look(statement, declaration.name.getText())
      for (const member of declaration.type.members ?? []) look(member, member.name.getText())
    } else look(statement, statement.name.getText())
  }
  expect(bare).toEqual([])
})
