'use strict'
// What other clients call what is meant: those of Apache RocketMQ and Alibaba Cloud (Java, Python, Node.js), and of Kafka.

const { foreignNames } = require('./suggest.js')

const CREDENTIALS = 'did you mean credentials: { accessKey, secretKey }?'
const SHARDING_KEY = 'the sharding key is the second argument of the send'
const NO_DELAY = 'ordered messages have no delay'

/** @type {readonly (readonly [string, string])[]} */
const OF_EVERY_CLIENT = [
  ['did you mean groupId?', 'group groupName groupIdentifier producerGroup consumerGroup producerId consumerId gid'],
  [
    'did you mean nameServer?',
    'nameSrv nameSrvs namesrvAddr namesrvAddress nameSrvDomain nameServers nameServerAddr nameServerAddress onsAddr ' +
      'endpoint endpoints host hosts server servers address addresses url',
  ],
  [
    'did you mean nameServer? It takes the addresses of name servers, not of brokers',
    'broker brokers brokerAddr brokerList bootstrapServers bootstrapServer metadataBrokerList kafkaHost',
  ],
  [
    CREDENTIALS,
    'accessKey accessKeyId accessKeySecret accessSecret secretKey secretAccessKey secret ak sk sessionCredentials ' +
      'sessionCredentialsProvider aclRpcHook rpcHook sasl auth username password securityToken stsToken',
  ],
  ['did you mean credentials.channel?', 'channel onsChannel accessChannel'],
  ['did you mean namespace?', 'namespaceV2 instanceId'],
  ['did you mean instanceName?', 'clientId clientName unitName'],
  ['did you mean requestTimeoutMs?', 'timeout timeoutMs connectionTimeout connectTimeout mqClientApiTimeout'],
  ['did you mean logger, an object with info(), warn() and error()?', 'log logs logLevel logCreator'],
  ['did you mean tls: true?', 'ssl useTls useTLS useSsl enableSsl tlsEnable enableTls secure'],
  [
    'did you mean tls: { ca, cert, key, servername, rejectUnauthorized }?',
    'ca cert key servername rejectUnauthorized insecureSkipVerify',
  ],
  ['there is no message trace', 'enableMsgTrace enableMessageTrace enableTrace traceTopic customizedTraceTopic'],
  ['there is no option for order: everything is in order', 'orderly ordered order fifo'],
]

const PRODUCER_OPTIONS = foreignNames([
  ...OF_EVERY_CLIENT,
  ['did you mean topics?', 'topicList topicNames'],
  ['did you mean sendTimeoutMs?', 'sendMsgTimeout sendMsgTimeoutMillis sendMessageTimeout'],
  [
    'a send is tried again until sendTimeoutMs is over',
    'retry retries maxRetries retryTimes retryTimesWhenSendFailed maxAttempts',
  ],
  ['did you mean maxMessageBytes?', 'maxMessageSize maxRequestSize'],
  [
    "did you mean compression: 'zlib', 'lz4' or 'zstd'?",
    'compress compressionType compressType compressionCodec codec gzip zlib lz4 zstd compressLevel compressionLevel',
  ],
  ['did you mean compressOverBytes?', 'compressMsgBodyOverHowmuch compressMsgBodyOver compressThreshold'],
  ['did you mean batching?', 'batch batchSize autoBatch linger lingerMs'],
  ['did you mean shardingHash?', 'hash partitioner createPartitioner selector messageQueueSelector'],
])

const CONSUMER_OPTIONS = foreignNames([
  ...OF_EVERY_CLIENT,
  [
    'did you mean subscribe(topic, handler)?',
    'topic topics subscription subscriptions handler listener messageListener onMessage eachMessage',
  ],
  ['the filter is the third argument of subscribe()', 'tag tags expression subExpression filter filterExpression sql'],
  [
    'did you mean initialPosition?',
    'consumeFromWhere consumeTimestamp fromBeginning autoOffsetReset startFrom initialOffset fromOffset',
  ],
  [
    'did you mean concurrency?',
    'consumeThreadNums consumeThreadMin consumeThreadMax threads parallelism maxConcurrency partitionsConsumedConcurrently',
  ],
  ["did you mean messageModel: 'broadcasting'?", 'isBroadcast broadcast broadcasting'],
  ['did you mean offsetFile?', 'offsetStore offsetStorePath offsetsFile offsetPath'],
  ['did you mean maxReconsumeTimes?', 'retry retries maxRetries maxRetryTimes maxAttempts'],
  [
    'did you mean suspendMs?',
    'suspendTimeMillis suspendCurrentQueueTimeMillis suspendTime retryDelay retryDelayMs backoff',
  ],
  ['did you mean handlerTimeoutMs?', 'consumeTimeout consumeTimeoutMs messageTimeout'],
  ['did you mean prefetch?', 'pullBatchSize pullThresholdForQueue pullThresholdSizeForQueue prefetchCount maxBytes'],
  [
    'did you mean commitIntervalMs?',
    'persistConsumerOffsetInterval autoCommit autoCommitInterval autoCommitIntervalMs',
  ],
  ['a handler gets one message at a time', 'consumeMessageBatchMaxSize batchSize eachBatch'],
])

const CREDENTIAL_FIELDS = foreignNames([
  ['did you mean accessKey?', 'accessKeyId accessId ak user username'],
  ['did you mean secretKey?', 'accessKeySecret accessSecret secretAccessKey secret sk password'],
  ['did you mean securityToken?', 'stsToken sessionToken token'],
  ['did you mean channel?', 'onsChannel accessChannel'],
])

const TLS_FIELDS = foreignNames([
  [
    'did you mean ca, which takes PEM, and not the name of a file?',
    'caFile caPath caCert caCerts truststore trustCertPath',
  ],
  ['did you mean cert, which takes PEM, and not the name of a file?', 'certFile certPath certificate certificatePath'],
  ['did you mean key, which takes PEM, and not the name of a file?', 'keyFile keyPath privateKey keystore'],
  ['did you mean servername?', 'serverName host hostname sni'],
  ['did you mean rejectUnauthorized: false?', 'insecure insecureSkipVerify skipVerify checkServerIdentity trustAll'],
  ['did you mean rejectUnauthorized: true?', 'verify authServer'],
  ['cert and key take PEM that is not encrypted', 'pfx passphrase password'],
])

const MESSAGE_FIELDS = foreignNames([
  ['did you mean body?', 'value payload content data message text'],
  ['did you mean properties?', 'headers userProperties userProperty property attributes props'],
  [
    `did you mean keys? ${SHARDING_KEY.replace('the', 'The')}`,
    'key messageKey', // Kafka's key shards, RocketMQ's finds
  ],
  [SHARDING_KEY, 'shardingKey messageGroup orderKey partitionKey hashKey'],
  ['the sharding key chooses the queue', 'partition queue queueId'],
  ['did you mean sendOrderlyBatch(messages, shardingKey)?', 'messages'],
  [NO_DELAY, 'delay delayMs delayTime delayLevel delayTimeLevel deliverTime deliveryTimestamp startDeliverTime'],
])

const EXPRESSION_FIELDS = foreignNames([
  ['did you mean tags?', 'expression subExpression'],
  ['did you mean sql92?', 'sql where'],
])

const EVENTS = foreignNames([
  ['did you mean warning?', 'error errors exception fault crash'],
  ['handlers get messages: subscribe(topic, handler)', 'message messages data'],
  ['did you mean connected?', 'connect'],
  ['did you mean close?', 'end finish shutdown stop'],
  ['did you mean assigned or revoked?', 'rebalance rebalanced rebalancing groupJoin'],
  ['start() resolves when it is', 'ready started'],
])

const POSITIONS = foreignNames([
  ['did you mean first?', 'earliest beginning begin start oldest smallest min CONSUME_FROM_FIRST_OFFSET'],
  ['did you mean last?', 'latest end newest largest max now CONSUME_FROM_LAST_OFFSET'],
  ['did you mean a Date?', 'timestamp time CONSUME_FROM_TIMESTAMP'],
])

const COMPRESSIONS = foreignNames([
  ["did you mean 'zlib'?", 'gzip gz deflate zip'],
  ["did you mean 'zstd'?", 'zstandard'],
  ['nothing is compressed unless it is given', 'none no off false never'],
])

const MESSAGE_MODELS = foreignNames([['did you mean broadcasting?', 'broadcast']])

module.exports = {
  COMPRESSIONS,
  CONSUMER_OPTIONS,
  CREDENTIAL_FIELDS,
  EVENTS,
  EXPRESSION_FIELDS,
  MESSAGE_FIELDS,
  MESSAGE_MODELS,
  POSITIONS,
  PRODUCER_OPTIONS,
  TLS_FIELDS,
}
