'use strict'
// Access control: who is let in, to what, and in which words the others are refused.

const { ACCOUNTS } = require('../../rocketmq/config')
const { sign } = require('../../rocketmq/wire')
const { binaryFrame, jsonFrame } = require('../raw-connection')
const {
  GROUP,
  entries,
  heartbeat,
  locks,
  longNames,
  pull,
  queue,
  send,
  subscription,
  topic,
  without,
} = require('../requests')

const x = Buffer.from('x')

/** Accounts made by request: what each may do with the topic "plain" and the group. */
const LIMITED = {
  writer: { accessKey: 'orderly-writer', secretKey: 'writer-secret-4', topic: ['Pub'], group: [] },
  reader: { accessKey: 'orderly-reader', secretKey: 'reader-secret-5', topic: ['Sub'], group: ['Sub'] },
  asker: { accessKey: 'orderly-asker', secretKey: 'asker-secret-6', topic: ['Get'], group: [] },
}
/** Who asks. */
const ACTORS = {
  'nobody in particular': null,
  'a wrong secret': { ...ACCOUNTS.member, secretKey: 'not-the-secret' },
  'an unknown key': { accessKey: 'orderly-unknown', secretKey: 'unknown-secret-7' },
  'no rights': ACCOUNTS.stranger,
  'Pub of a topic': LIMITED.writer,
  'Sub of a topic and a group': LIMITED.reader,
  'Get of a topic': LIMITED.asker,
  'Pub, Sub and Get of everything': ACCOUNTS.member,
  'an administrator': ACCOUNTS.admin,
}

/** Every request, in its good form: name, code, fields, body, options. */
function requests(r) {
  const at = (topic, more) => ({ consumerGroup: GROUP, topic, queueId: 0, ...more })
  const beat = (...topics) =>
    heartbeat(
      'client@access',
      topics.map((topic) => subscription(topic, '*', 1)),
      GROUP,
    )
  const check = {
    clientId: 'client@access',
    group: GROUP,
    namespace: '',
    subscriptionData: subscription('plain', '*', 1),
  }
  const query = { topic: 'plain', key: 'none', maxNum: 1, beginTimestamp: 0, endTimestamp: 1 }
  const offset = r.kept('placed').ext.msgId
  const physical = Number(BigInt(`0x${offset.slice(16)}`))
  const dead = send('%DLQ%GID-conformance', 0, { UNIQ_KEY: 'D' })
  const back = send(`%RETRY%${GROUP}`, 0, { UNIQ_KEY: 'R' }, { j: 0, l: 16 })
  const shown = ['timestamp', 'totalTopicNum', 'totalGroupNum', 'version']
  const counters = ['indexLastUpdateTimestamp', 'indexLastUpdatePhyoffset']
  return [
    ['310', 310, send('plain', 0, { UNIQ_KEY: 'U' }), x],
    ['310 elsewhere', 310, send('other', 0, { UNIQ_KEY: 'U' }), x],
    ['310 an unknown topic', 310, send('nowhere', 0, { UNIQ_KEY: 'U' }), x],
    ['310 no topic', 310, without(send('plain', 0), 'b'), x],
    ['310 to the retry topic', 310, back, x],
    ['310 to the dead letters', 310, dead, x, { ignore: ['queueOffset'] }],
    ['10', 10, longNames('plain', 1), x],
    ['320', 320, send('plain', 2, {}, { m: true }), entries({ body: 'a' })],
    ['11', 11, pull('plain', 0, 0, { consumerGroup: GROUP, maxMsgNums: 1 })],
    ['11 elsewhere', 11, pull('other', 3, 0, { consumerGroup: GROUP })],
    ['11 in another group', 11, pull('plain', 0, 0, { consumerGroup: 'GID-other', maxMsgNums: 1 })],
    [
      '11 the retry topic',
      11,
      pull(`%RETRY%${GROUP}`, 0, 9_999, { consumerGroup: GROUP }),
      undefined,
      { onlyCode: true },
    ],
    [
      '11 the dead letters',
      11,
      pull('%DLQ%GID-conformance', 0, 9_999, { consumerGroup: GROUP }),
      undefined,
      { onlyCode: true },
    ],
    ['361', 361, pull('plain', 0, 0, { consumerGroup: GROUP, maxMsgNums: 1 })],
    ['14', 14, at('plain')],
    ['14 elsewhere', 14, at('other')],
    ['15', 15, at('plain', { commitOffset: 1 })],
    ['15 in another group', 15, at('plain', { consumerGroup: 'GID-other', commitOffset: 1 })],
    ['29', 29, { topic: 'plain', queueId: 3, timestamp: 1 }],
    ['30', 30, { topic: 'plain', queueId: 3 }],
    ['30 elsewhere', 30, { topic: 'other', queueId: 3 }],
    ['31', 31, { topic: 'plain', queueId: 3 }],
    ['32', 32, { topic: 'plain', queueId: 3 }],
    ['33', 33, { offset: physical, topic: 'plain' }],
    ['33 without its topic', 33, { offset: physical }],
    ['12', 12, query, undefined, { ignore: counters }],
    ['34', 34, {}, beat('plain', `%RETRY%${GROUP}`), { settleMs: 20, pushes: false }],
    ['34 elsewhere', 34, {}, beat('other'), { settleMs: 20, pushes: false }],
    [
      '34 of a producer',
      34,
      {},
      { clientID: 'client@access', producerDataSet: [{ groupName: 'P' }], consumerDataSet: [] },
    ],
    ['38', 38, { consumerGroup: 'GID-empty' }],
    ['41', 41, {}, locks('client@access', queue(0))],
    ['41 elsewhere', 41, {}, locks('client@access', queue(0, 'other'))],
    ['41 the retry topic', 41, {}, locks('client@access', queue(0, `%RETRY%${GROUP}`))],
    ['42', 42, {}, locks('client@access', queue(0), queue(0, 'other'), queue(0, `%RETRY%${GROUP}`))],
    ['46', 46, {}, check],
    [
      '36',
      36,
      { offset: physical, group: GROUP, originTopic: 'plain', unitMode: false, delayLevel: -1, maxReconsumeTimes: 16 },
    ],
    ['35', 35, { clientID: 'client@access', consumerGroup: GROUP }, undefined, { settleMs: 20, pushes: false }],
    ['35 of a producer', 35, { clientID: 'client@access', producerGroup: 'P' }],
    ['17', 17, topic('made', { readQueueNums: 1, writeQueueNums: 1 })],
    ['200', 200, {}, { groupName: 'GID-made' }],
    ['203', 203, { consumerGroup: 'GID-empty' }],
    ['204', 204, { producerGroup: 'nobody' }],
    ['202', 202, { topic: 'plain' }, undefined, { ignoreBody: true }],
    ['208', 208, { consumerGroup: GROUP, topic: 'plain' }, undefined, { ignoreBody: true }],
    ['21', 21, {}, undefined, { ignore: shown, ignoreBody: true }],
    ['201', 201, {}, undefined, { ignore: shown, ignoreBody: true }],
    ['222', 222, { topic: 'plain', group: 'GID-empty', timestamp: 0, isForce: true }, undefined, { ignoreBody: true }],
    ['25', 25, {}, Buffer.from('brokerPermission=6\n')],
    ['26', 26, {}, undefined, { ignore: shown, ignoreBody: true }],
    ['28', 28, {}, undefined, { ignoreBody: true }],
    ['300', 300, { topic: 'nowhere' }],
    ['307', 307, { consumerGroup: GROUP, clientId: 'stranger', jstackEnable: false }],
    ['207', 207, { groupName: 'GID-made' }],
    ['215', 215, { topic: 'made' }],
    ['309', 309, { consumerGroup: GROUP, clientId: 'stranger', msgId: offset, brokerName: 'broker-a', topic: 'plain' }],
    ['223', 223, { topic: 'plain', group: 'GID-empty', clientAddr: '' }],
    ['343', 343, { group: 'GID-empty' }],
    ['351', 351, { topic: 'nowhere' }],
    ['352', 352, { group: 'GID-nobody' }],
    ['18', 18, {}, { topicConfigList: [] }],
    ['50', 50, { accessKey: 'orderly-other', secretKey: 'other-secret-8', admin: false }],
    [
      '3001',
      3_001,
      { username: 'orderly-other' },
      { username: 'orderly-other', password: 'other-secret-8', userType: 'Normal' },
    ],
    ['9999', 9_999],
  ]
}

/** The words of a refusal. Which of two missing rights 4.9 names is up to the order of a hash table. */
function words(remark = '') {
  if (!/AclException|permission|signature|username|User:/.test(remark)) return undefined
  return remark
    .replace(/from 127\.0\.0\.1(:\d+)?/, 'from HERE')
    .replace(/, org\.apache\.rocketmq[\s\S]*/, '')
    .replace(/No default permission for \S+/, 'No default permission for …')
}

async function access(r) {
  for (const name of ['plain', 'other']) await r.broker(`17 ${name}`, 17, topic(name))
  for (const groupName of [GROUP, 'GID-other', 'GID-empty']) await r.broker(`200 ${groupName}`, 200, {}, { groupName })
  await r.routed(['plain', 'other'])
  for (const account of Object.values(LIMITED)) await makeAccount(r, account)
  r.keep('placed', await r.broker('310 a message to look at', 310, send('plain', 0, { UNIQ_KEY: 'U0' }), x))
  for (const [actor, credentials] of Object.entries(ACTORS)) {
    const client = await r.other({ credentials })
    for (const [name, code, ext, body, options] of requests(r)) {
      await client.broker(`${name}, by ${actor}`, code, ext, body, { ...options, words })
    }
    client.close()
    await r.names(`105 by ${actor}`, 105, { topic: 'plain', acceptStandardJsonOnly: true }, undefined, { credentials })
  }
  await signatures(r)
}

/** Request 50 on 4.9, 3001 and 3006 on 5.x; the other version refuses. */
async function makeAccount(r, { accessKey, secretKey, topic: onTopic, group: onGroup }) {
  const perm = (actions) => actions.map((action) => action.toUpperCase()).join('|') || 'DENY'
  // 4.9 has no right to ask: it lets everybody.
  const rights = {
    topicPerms: `plain=${perm(onTopic.filter((action) => action !== 'Get'))}`,
    groupPerms: `${GROUP}=${perm(onGroup)}`,
    defaultTopicPerm: 'DENY',
    defaultGroupPerm: 'DENY',
  }
  await r.broker(`50 ${accessKey}`, 50, { accessKey, secretKey, admin: false, ...rights }, undefined, {
    settleMs: 1_000,
  })
  const user = { username: accessKey, password: secretKey, userType: 'Normal' }
  await r.broker(`3001 ${accessKey}`, 3_001, { username: accessKey }, user)
  const entry = (resource, actions) => ({ resource, actions, sourceIps: [], decision: 'Allow' })
  const own = [
    ['Topic:plain', onTopic],
    [`Group:${GROUP}`, onGroup],
  ].filter(([, actions]) => actions.length > 0)
  const subject = `User:${accessKey}`
  const policies = [{ policyType: 'Custom', entries: own.map(([resource, actions]) => entry(resource, actions)) }]
  await r.broker(`3006 ${accessKey}`, 3_006, { subject }, { subject, policies })
}

/** What is signed: every field that comes, but for one. */
async function signatures(r) {
  const { member } = ACCOUNTS
  const asText = (ext) => Object.fromEntries(Object.entries(ext).map(([name, value]) => [name, String(value)]))
  const signed = (ext, credentials = member) => sign(asText(ext), Buffer.alloc(0), credentials)
  const offset = { topic: 'plain', queueId: 3 }
  const ask = (name, code, extFields, header = {}, frame = jsonFrame) =>
    r.raw(name, frame({ code, opaque: 7, extFields, ...header }), { frames: 1 })
  await ask('signed', 30, signed(offset))
  await ask('signed, in binary', 30, signed(offset), {}, binaryFrame)
  await ask('a wrong signature, in binary', 30, signed(offset, { ...member, secretKey: 'wrong' }), {}, binaryFrame)
  await ask('a field added behind the signature', 30, { ...signed(offset), bname: 'broker-a' })
  await ask('a field changed behind the signature', 30, { ...signed(offset), queueId: '2' })
  await ask('a channel, signed', 30, signed({ ...offset, OnsChannel: 'ALIYUN' }))
  await ask('a channel, not signed', 30, { ...signed(offset), OnsChannel: 'ALIYUN' })
  await ask('a token, signed', 30, signed(offset, { ...member, securityToken: 'token' }))
  await ask('letters of any kind', 30, signed({ topic: 'plain', queueId: 3, note: 'été 订单 😀' }))
  await ask('no signature', 30, without(signed(offset), 'Signature'))
  await ask('an empty signature', 30, { ...signed(offset), Signature: '' })
  await ask('an empty key', 30, { ...asText(offset), AccessKey: '', Signature: 'x' })
  const query = { topic: 'plain', key: 'U0', maxNum: 1, beginTimestamp: 0, endTimestamp: 9_999_999_999_999 }
  for (const version of [399, 401, 409, 513]) {
    const whole = signed({ ...query, _UNIQUE_KEY_QUERY: true }, ACCOUNTS.admin)
    const partly = { ...signed(query, ACCOUNTS.admin), _UNIQUE_KEY_QUERY: 'true' }
    await codeOf(
      r,
      `a unique key of version ${version}, signed`,
      jsonFrame({ code: 12, opaque: 7, version, extFields: whole }),
    )
    await codeOf(
      r,
      `a unique key of version ${version}, not signed`,
      jsonFrame({ code: 12, opaque: 7, version, extFields: partly }),
    )
  }
  const commit = { consumerGroup: GROUP, topic: 'plain', queueId: 3, commitOffset: 3 }
  const oneway = jsonFrame({ code: 15, opaque: 7, flag: 2, extFields: asText(commit) })
  const after = jsonFrame({ code: 38, opaque: 8, extFields: signed({ consumerGroup: 'GID-empty' }) })
  await r.raw('a commit that wants no answer, not signed', Buffer.concat([oneway, after]), { frames: 1 })
  await r.broker('14 that it changed nothing', 14, without(commit, 'commitOffset'))
}

const codeOf = (r, name, frame) => r.raw(name, frame, { frames: 1, onlyCode: true })

module.exports = { access }
