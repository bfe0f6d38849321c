// The same types for `import`.
export * from './prometheus.js'
