/**
 * The mutants that the simulation has to notice.
 */
import type { Mutant } from "../Mutant.ts"
import { committed } from "./committed.ts"
import { crowded } from "./crowded.ts"
import { deaf } from "./deaf.ts"
import { disordered } from "./disordered.ts"
import { exclusive } from "./exclusive.ts"
import { forgetful } from "./forgetful.ts"
import { greedy } from "./greedy.ts"
import { hasty } from "./hasty.ts"
import { hurried } from "./hurried.ts"
import { impatient } from "./impatient.ts"
import { offhand } from "./offhand.ts"
import { overstayed } from "./overstayed.ts"
import { rash } from "./rash.ts"
import { silent } from "./silent.ts"
import { stranded } from "./stranded.ts"
import { tireless } from "./tireless.ts"
import { unaware } from "./unaware.ts"
import { unfenced } from "./unfenced.ts"
import { uninformed } from "./uninformed.ts"
import { unpunctual } from "./unpunctual.ts"
import { unswept } from "./unswept.ts"
import { unversioned } from "./unversioned.ts"

export const mutants: ReadonlyArray<Mutant> = [
  unfenced,
  unswept,
  hasty,
  committed,
  unversioned,
  overstayed,
  unaware,
  impatient,
  hurried,
  greedy,
  disordered,
  rash,
  forgetful,
  crowded,
  stranded,
  tireless,
  silent,
  unpunctual,
  deaf,
  exclusive,
  uninformed,
  offhand
]
