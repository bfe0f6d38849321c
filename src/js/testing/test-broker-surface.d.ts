// What the test broker's facade needs of the native side; nothing here is hot, so everything crosses as JSON.

export interface TestBrokerCalls {
  answer(slot: number, error: string | null, json: string): void
}

export class NativeTestBroker {
  constructor()
  /** Answered with `{ nameServer, brokers, ca }`; failed, nothing is left running. */
  start(slot: number, options: string, calls: TestBrokerCalls): void
  /** `{ method, … }` that is answered at once. */
  call(request: string): string
  /** `{ method, … }` that takes its time. */
  ask(slot: number, request: string): void
  publish(topic: string, shardingKey: string, body: Buffer, properties: string[]): string
  /** Answered when every socket is closed. */
  close(slot: number): void
}

/** Judges files of histories together, on a thread of its own; resolves with a verdict as JSON, rejects as calls do. */
export function checkHistories(paths: string[], options: string): Promise<string>
