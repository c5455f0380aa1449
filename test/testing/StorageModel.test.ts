/**
 * The model against itself: a backend that is built on a memory storage is not the one that it is compared with.
 */
import * as StorageMemory from "../../src/StorageMemory.ts"
import { StorageModel } from "../../src/testing/index.ts"

StorageModel.suite("another memory storage", StorageMemory.layer, { runs: 10 })
