// rocketmq-orderly/testing in CommonJS; as ESM in testing.mts.
import { TestBroker, type Fault } from 'rocketmq-orderly/testing'

export async function broken(): Promise<number> {
  const broker = await TestBroker.start({ topics: { orders: 8 } })
  const fault: Fault = { request: 'send', nth: 2, drop: 'answer' }
  const { hits } = broker.fault(fault)
  // @ts-expect-error: a fault does one thing that exists
  broker.fault({ request: 'send', explode: true })
  await broker.close()
  return hits
}
