// The same types for `import`.
export * from './otel.js'
