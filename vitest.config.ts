import { defineConfig } from "vitest/config"

const conditions = ["hookline-source"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    globalSetup: ["test/support/globalSetup.ts"],
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    // Tests wait for processes and databases more than they compute: the default, one less than there are cores, idles.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
