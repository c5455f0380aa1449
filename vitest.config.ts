import { defineConfig } from "vitest/config"

const conditions = ["hookline-source"]

/** Files that measure memory or wait for processes of their own have a process to themselves. */
const apart = [
  "test/backlog.test.ts",
  "test/outage.test.ts",
  "test/cli/*.test.ts",
  "test/cluster/*.test.ts",
  "test/http/fuzz.test.ts",
  "test/storage/EmbeddedPostgres.test.ts"
]

const include = ["test/**/*.test.ts", "examples/**/*.test.ts"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    globalSetup: ["test/support/globalSetup.ts"],
    // Tests wait for processes and databases more than they compute: the default, one less than there are cores, idles.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "apart", include: apart } },
      // What these import is loaded once for all of them, which halves their time.
      { extends: true, test: { name: "together", include, exclude: apart, isolate: false } }
    ]
  }
})
