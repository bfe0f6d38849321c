// rocketmq-orderly/testing as ESM; in CommonJS in testing.cts.
import { TestBroker, type StoredMessage, type TestBrokerOptions } from 'rocketmq-orderly/testing'

export async function tested(options: TestBrokerOptions): Promise<readonly StoredMessage[]> {
  await using broker = await TestBroker.start(options)
  await broker.publish({ topic: 'orders', body: 'x' }, 'key')
  await broker.caughtUp('GID', { timeoutMs: 100 })
  return broker.messages('orders')
}
// @ts-expect-error: it is started, not constructed
new TestBroker()
