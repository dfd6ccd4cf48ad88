import { after, test, type TestContext } from 'node:test';
import { findTools } from './tools.js';

/** Why the tests that need Appium, adb and Grid are skipped; false if they are installed, or if no test may be skipped. */
function missing(): string | false {
  try {
    findTools();
    return false;
  } catch (error) {
    if (process.env.CRITIQ_NO_SKIP === '1') return false;
    const reason = `NO APPIUM, NOT TESTED: ${(error as Error).message}; make test-appium installs what is missing`;
    console.error(`\n*** ${reason} ***\n`);
    return reason;
  }
}

const skip = missing();

/** A test that needs Appium, adb and Grid. */
export function appiumTest(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, { skip, timeout: 300_000 }, body);
}

/** A resource that all tests of a file share: made when first needed, closed after the last test. */
export function shared<T extends { close(): Promise<void> }>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  after(async () => (await made)?.close());
  return () => (made ??= make());
}
