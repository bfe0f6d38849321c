'use strict'
// What an expression of tags may say, and which tags a send lets through: both sides agree.
jest.mock('../../src/js/addon.js', () => require('./fake-native.js'))

const { Producer, PushConsumer } = require('../..')

const { expressionProblem, tagProblem } = require('../../src/js/tags.js')

const subscribe = (expression) => {
  try {
    new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', () => {}, expression)
    return undefined
  } catch (error) {
    return error
  }
}

describe('subscribe() takes', () => {
  test.each([
    '*',
    'paid',
    'created || paid',
    'created||paid',
    'created  ||\tpaid',
    'paid || paid',
    '订单 || b',
    // Nothing in these is meant as anything but a tag.
    'order-created || order_paid || v1.2:x',
    'order',
    'ANDROID || ORACLE',
    'CA || OR', // Oregon
    'order created || made in china',
    'R&D',
    'type=paid',
    "O'Brien",
    '[DEV]created',
    'c++ (beta)',
  ])('%j', (expression) => {
    expect([subscribe(expression), subscribe({ tags: expression })]).toEqual([undefined, undefined])
  })
})

describe('subscribe() refuses what would match nothing, and says what was meant:', () => {
  test.each([
    ['created | paid', "did you mean 'created || paid'?"],
    ['created|paid', "did you mean 'created || paid'?"],
    ['created ||| paid', "did you mean 'created || paid'?"],
    ['created, paid', "did you mean 'created || paid'?"],
    ['created,paid', "did you mean 'created || paid'?"],
    ['created; paid', "did you mean 'created || paid'?"],
    ['created && paid', "did you mean 'created || paid'?"],
    ['created OR paid', "did you mean 'created || paid'?"],
    ['created and paid or sent', "did you mean 'created || paid || sent'?"],
    ['(created || paid)', "did you mean 'created || paid'?"],
    ['["created", "paid"]', "did you mean 'created || paid'?"],
    ['"created || paid"', "did you mean 'created || paid'?"],
    ["'paid'", "did you mean 'paid'?"],
    [' paid ', "did you mean 'paid'?"],
    ['paid\n', "did you mean 'paid'?"],
    ['created\u00a0||\u00a0paid', "did you mean 'created || paid'?"],
    ['created ||', "did you mean 'created'?"],
    ['|| paid', "did you mean 'paid'?"],
    ['created || || paid', "did you mean 'created || paid'?"],
    ['created || *', "did you mean '*'?"],
    ['created*', "'*' alone means every message"],
    ['*.paid', 'there are no wildcards'],
    ['!paid', 'reads like a negation'],
    ['not paid', 'reads like a negation'],
    ['created\npaid', 'line break'],
    ["TAGS = 'paid'", `did you mean { sql92: "TAGS = 'paid'" }?`],
    ['amount > 5', "did you mean { sql92: 'amount > 5' }?"],
    ["TAGS IN ('created', 'paid')", 'did you mean { sql92: '],
    ['amount between 1 and 3', "did you mean { sql92: 'amount between 1 and 3' }?"],
    ['||', 'names no tag'],
    [' || ', 'names no tag'],
    [' ', 'names no tag'],
    ['|', 'holds a separator'],
  ])('%j', (expression, text) => {
    for (const [field, given] of [
      ['expression', expression],
      ['expression.tags', { tags: expression }],
    ]) {
      const error = subscribe(given)
      expect(error).toMatchObject({ name: 'RocketMQError', code: 'ERR_ROCKETMQ_FILTER', topic: 'orders' })
      expect(error.message.startsWith(`${field}: `)).toBe(true)
      expect(error.message).toContain(text)
    }
  })
})

test('subscribe() refuses a blank condition; all others only a broker can read', () => {
  expect(subscribe({ sql92: ' ' })).toMatchObject({ code: 'ERR_ROCKETMQ_FILTER', topic: 'orders' })
  expect(subscribe({ sql92: 'a || b' })).toBeUndefined()
})

describe('a send', () => {
  const send = async (tags) => {
    const producer = await new Producer({ groupId: 'g', nameServer: 'a:1' }).start()
    // A send that is not refused waits for native, which is a fake.
    const sent = producer.sendOrderly({ topic: 'orders', body: 'x', tags }, 'k')
    const refused = await Promise.race([sent.catch((error) => error), new Promise((resolve) => setImmediate(resolve))])
    sent.catch(() => {})
    await producer.close()
    return refused
  }

  test.each(['a || b', 'a|b', 'a,b', 'a && b', 'a OR b', ' paid', 'paid ', '\u00a0paid', '*', 'a*', "'paid'", 'a\nb'])(
    'refuses %j, which no expression can name',
    async (tags) => {
      expect(await send(tags)).toMatchObject({
        code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
        outcome: 'not-stored',
        message: expect.stringMatching(/^message\.tags: no subscription could name this tag: it /),
      })
    },
  )

  test.each(['paid', 'order created', 'R&D', '订单', 'OR', 'type=paid'])('takes %j', async (tags) => {
    expect(await send(tags)).toBeUndefined()
  })
})

/** As brokers and Java's client read an expression: FilterAPI.buildSubscriptionData(). */
const asBrokersRead = (expression) =>
  expression === '*'
    ? '*'
    : expression
        .split('||')

        .map((part) => part.replace(/^[\0-\x20]+|[\0-\x20]+$/g, ''))
        .filter((part) => part !== '')

test('both sides agree: a tag that a send takes is one that an expression names, alone and beside others', () => {
  const pieces = [
    'a',
    'B',
    ' ',
    '|',
    '||',
    '*',
    ',',
    ';',
    '&',
    '&&',
    ' or ',
    'AND',
    '\t',
    '\u00a0',
    '"',
    "'",
    '(',
    ']',
    '!',
    '=',
    ' > ',
  ]
  let state = 1
  const draw = (count) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % count
  }
  const wrong = []
  const counts = { tags: 0, expressions: 0, suggestions: 0 }
  for (let i = 0; i < 10_000; i++) {
    const text = Array.from({ length: 1 + draw(6) }, () => pieces[draw(pieces.length)]).join('')
    if (tagProblem(text) === undefined) {
      counts.tags++
      for (const expression of [text, `x || ${text}`, `${text}||x`]) {
        if (expressionProblem(expression) !== undefined || !asBrokersRead(expression).includes(text))
          wrong.push(expression)
      }
    }
    const problem = expressionProblem(text)
    if (problem === undefined && text !== '*') {
      counts.expressions++
      const named = asBrokersRead(text)
      if (named.length === 0 || named.some((tag) => tagProblem(tag) !== undefined)) wrong.push(text)
    }
    const suggestion = /did you mean '(.*)'\?$/.exec(problem ?? '')?.[1]
    if (suggestion !== undefined) {
      counts.suggestions++
      if (expressionProblem(suggestion) !== undefined) wrong.push(`${text} → ${suggestion}`)
    }
  }
  expect(wrong).toEqual([])
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(200)
})
