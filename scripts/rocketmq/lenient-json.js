'use strict'
// JSON as fastjson writes it: keys of an object may also be bare numbers or objects.

/** Parses `text`; an object used as a key becomes its own JSON text with sorted members. */
function parseLenient(text) {
  let at = 0

  const fail = (what) => {
    throw new SyntaxError(`${what} at ${at} in ${text.slice(Math.max(0, at - 20), at + 40)}`)
  }
  const skip = () => {
    while (' \t\r\n'.includes(text[at]) && at < text.length) at++
  }
  const expect = (char) => {
    skip()
    if (text[at] !== char) fail(`Expected ${char}`)
    at++
  }
  const scalar = () => {
    const match = /^(?:"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/.exec(text.slice(at))
    if (!match) fail('Unexpected text')
    at += match[0].length
    return JSON.parse(match[0])
  }
  const list = (open, close, item) => {
    expect(open)
    skip()
    while (text[at] !== close) {
      item()
      skip()
      if (text[at] === ',') at++
      else if (text[at] !== close) fail(`Expected , or ${close}`)
      skip()
    }
    at++
  }
  const value = () => {
    skip()
    if (text[at] === '[') {
      const items = []
      list('[', ']', () => items.push(value()))
      return items
    }
    if (text[at] !== '{') return scalar()
    const members = {}
    list('{', '}', () => {
      const key = value()
      expect(':')
      members[typeof key === 'object' ? keyText(key) : String(key)] = value()
    })
    return members
  }

  const result = value()
  skip()
  if (at !== text.length) fail('Text after the end')
  return result
}

/** The key under which parseLenient() files what was keyed by this object. */
function keyText(object) {
  return JSON.stringify(object, Object.keys(object).sort())
}

module.exports = { keyText, parseLenient }
