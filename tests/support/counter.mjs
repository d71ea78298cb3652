// A reporter for `node --test` that says one thing at the end: how many tests passed and how many failed.

export default async function* counter(source) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // Suites, and in Node 18 files, report like tests; they count only when something outside of any test failed.
    const isContainer = data.details?.type === 'suite' || data.name.endsWith('.test.mjs');
    if (type === 'test:pass') passed += isContainer || data.skip !== undefined ? 0 : 1;
    else failed += isContainer && data.details?.error?.failureType === 'subtestsFailed' ? 0 : 1;
  }
  yield `${passed} ${failed}\n`;
}
