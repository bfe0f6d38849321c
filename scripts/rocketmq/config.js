'use strict'
// The files a RocketMQ server reads at its start.

const fs = require('node:fs')
const path = require('node:path')

/** Accounts of every cluster with access control. */
const ACCOUNTS = {
  /** May do everything. */
  admin: { accessKey: 'orderly-admin', secretKey: 'admin-secret-1' },
  /** May publish, subscribe and ask offsets, on every topic and in every group. */
  member: { accessKey: 'orderly-member', secretKey: 'member-secret-2' },
  /** Exists, and has no rights. */
  stranger: { accessKey: 'orderly-stranger', secretKey: 'stranger-secret-3' },
}

/** Warnings and errors only, to one file per server. */
const logback = (root) => `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <appender name="file" class="${root}.core.FileAppender">
    <file>\${user.home}/server.log</file>
    <encoder>
      <pattern>%d{HH:mm:ss.SSS} %-5level %logger{20} - %msg%n</pattern>
      <charset>UTF-8</charset>
    </encoder>
  </appender>
  <root level="WARN">
    <appender-ref ref="file"/>
  </root>
</configuration>
`

/** 4.x reads its settings from the home's conf folder; 5.x looks for this name on the class path, before its own. */
const LOGBACK_FILES = {
  4: { files: ['logback_namesrv.xml', 'logback_broker.xml'], root: 'ch.qos.logback' },
  5: { files: ['rmq.logback.xml'], root: 'org.apache.rocketmq.logging.ch.qos.logback' },
}

/** Makes a server's home with its log settings in `conf`; returns it. */
function writeHome(home, version) {
  const conf = path.join(home, 'conf')
  fs.mkdirSync(conf, { recursive: true })
  const { files, root } = LOGBACK_FILES[version[0]]
  for (const file of files) fs.writeFileSync(path.join(conf, file), logback(root))
  return home
}

function writeProperties(file, properties) {
  fs.writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  return file
}

/** Writes the settings of a name server; returns the file. */
function writeNameServer(home, { port, properties }) {
  return writeProperties(path.join(home, 'namesrv.conf'), {
    listenPort: port,
    bindAddress: '127.0.0.1',
    ...properties,
  })
}

/** Where a broker keeps its messages. */
const storeOf = (home) => path.join(home, 'store')

/** Writes the settings of a broker; returns the file. */
function writeBroker(home, { version, name, port, nameServer, acl, properties }) {
  const store = storeOf(home)
  return writeProperties(path.join(home, 'broker.conf'), {
    brokerClusterName: 'DefaultCluster',
    brokerName: name,
    brokerId: 0,
    namesrvAddr: nameServer,
    brokerIP1: '127.0.0.1',
    brokerIP2: '127.0.0.1',
    bindAddress: '127.0.0.1',
    listenPort: port,
    haListenPort: port + 1,
    storePathRootDir: store,
    storePathCommitLog: path.join(store, 'commitlog'),
    mappedFileSizeCommitLog: 64 * 1024 * 1024,
    mappedFileSizeConsumeQueue: 600000,
    maxHashSlotNum: 50000,
    maxIndexNum: 200000,
    diskMaxUsedSpaceRatio: 95,
    deleteWhen: '04',
    fileReservedTime: 72,
    autoCreateTopicEnable: false,
    autoCreateSubscriptionGroup: true,
    enablePropertyFilter: true,
    // With one thread, as on a single core, pipelined sends keep their order and a faulty client passes.
    sendMessageThreadPoolNums: 4,
    registerNameServerPeriod: 10000,
    // 5.x writes 37 MB of a wheel of timers every second, and spins for the whole first interval of transaction metrics: half of what an
    // idle broker takes of a core. Nobody here uses either.
    timerFlushIntervalMs: 600000,
    transactionMetricFlushInterval: 200,
    ...(acl ? accessControl(home, version) : {}),
    ...properties,
  })
}

function accessControl(home, version) {
  if (version.startsWith('4.')) {
    const account = ({ accessKey, secretKey }, rights) =>
      [`- accessKey: ${accessKey}`, `secretKey: "${secretKey}"`, ...rights].join('\n  ')
    const lines = [
      'accounts:',
      account(ACCOUNTS.admin, ['admin: true', 'defaultTopicPerm: PUB|SUB', 'defaultGroupPerm: PUB|SUB']),
      account(ACCOUNTS.member, ['admin: false', 'defaultTopicPerm: PUB|SUB', 'defaultGroupPerm: PUB|SUB']),
      account(ACCOUNTS.stranger, ['admin: false', 'defaultTopicPerm: DENY', 'defaultGroupPerm: DENY']),
    ]
    fs.writeFileSync(path.join(home, 'conf', 'plain_acl.yml'), `${lines.join('\n')}\n`)
    return { aclEnable: true }
  }
  const { accessKey, secretKey } = ACCOUNTS.admin
  const auth = 'org.apache.rocketmq.auth'
  return {
    authenticationEnabled: true,
    authenticationProvider: `${auth}.authentication.provider.DefaultAuthenticationProvider`,
    authenticationMetadataProvider: `${auth}.authentication.provider.LocalAuthenticationMetadataProvider`,
    initAuthenticationUser: JSON.stringify({ username: accessKey, password: secretKey }),
    innerClientAuthenticationCredentials: JSON.stringify({ accessKey, secretKey }),
    authorizationEnabled: true,
    authorizationProvider: `${auth}.authorization.provider.DefaultAuthorizationProvider`,
    authorizationMetadataProvider: `${auth}.authorization.provider.LocalAuthorizationMetadataProvider`,
  }
}

module.exports = { ACCOUNTS, storeOf, writeBroker, writeHome, writeNameServer }
