// Users test their agents with the same servers: `perdure/testing`.
export {
  endWithTests,
  startTestServers,
  testFolder,
  testTemporalBinary,
  type TestServers,
} from '../../src/testing/test-servers.ts';
