'use strict'
// The pieces of code in the documents and in the comments of the public types.

const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'examples/README.md',
  ...fs
    .readdirSync(path.join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const DECLARATIONS = ['index.d.ts', 'otel.d.ts', 'prometheus.d.ts', 'testing.d.ts']

/** The text of a document; of declarations, their comments only, on the same lines. */
function text(document) {
  const whole = fs.readFileSync(path.join(ROOT, document), 'utf8')
  if (!DECLARATIONS.includes(document)) return whole
  const comments = whole.split('\n').map((line) => /^\s*(?:\/\*\*|\*(?!\/)) ?(.*)$/.exec(line)?.[1] ?? '')
  return comments.join('\n')
}

/**
 * A fenced block.
 * @typedef {object} Block
 * @property {string} document
 * @property {number} line of its first line of code, from 1
 * @property {string} heading the one above it
 * @property {string} language
 * @property {string} code
 */

/**
 * The fenced blocks of a document, in order.
 * @param {string} document
 * @returns {Block[]}
 */
function blocks(document) {
  const found = []
  let heading = ''
  let open = null
  text(document)
    .split('\n')
    .forEach((line, i) => {
      const fence = /^```(.*)$/.exec(line)
      if (open && fence) {
        found.push({ ...open, code: open.lines.join('\n') })
        open = null
      } else if (open) open.lines.push(line)
      else if (fence) open = { document, line: i + 2, heading, language: fence[1], lines: [] }
      else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
    })
  if (open) throw new Error(`${document}:${open.line}: the block does not end`)
  return found
}

/** Every block of the documents and declarations. */
const allBlocks = () => [...DOCUMENTS, ...DECLARATIONS].flatMap(blocks)

/**
 * The nth block in a language under a heading.
 * @param {string} document
 * @param {string} heading empty above the first one
 * @param {number} [nth] from 1
 */
function block(document, heading, nth = 1) {
  const found = blocks(document).filter((each) => each.heading === heading && each.language === 'ts')[nth - 1]
  if (!found) throw new Error(`${document} has no such block: '${heading}', number ${nth}`)
  return found
}

module.exports = { DOCUMENTS, ROOT, allBlocks, block, blocks, text }
