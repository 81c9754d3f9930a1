export { BoundedMap } from "./bounded-map.ts";
export { places } from "./places.ts";
