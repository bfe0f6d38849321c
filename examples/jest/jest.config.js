'use strict'

module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/*.test.ts'],
  // ts-jest or Babel do as well; this needs nothing but TypeScript itself.
  transform: { '\\.ts$': '<rootDir>/transform.js' },
}
