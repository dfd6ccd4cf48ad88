import protobuf from 'protobufjs/light.js';
import type { UiBox } from './episode.js';
import { edgesToBox, type PointForm } from './points.js';

/**
 * The part of android_env's accessibility protos that is read here (android_env/proto/a11y): windows with trees of nodes, and of
 * a node its place, class, texts and whether it is seen. Field numbers as published; all other fields are skipped.
 */
const FOREST = protobuf.Root.fromJSON({
  nested: {
    Rect: { fields: { left: int(1), top: int(2), right: int(3), bottom: int(4) } },
    Node: {
      fields: {
        boundsInScreen: { type: 'Rect', id: 2 },
        className: { type: 'string', id: 3 },
        contentDescription: { type: 'string', id: 4 },
        text: { type: 'string', id: 7 },
        isClickable: { type: 'bool', id: 14 },
        isVisibleToUser: { type: 'bool', id: 23 },
        childIds: { rule: 'repeated', type: 'int32', id: 25 },
      },
    },
    Tree: { fields: { nodes: { rule: 'repeated', type: 'Node', id: 1 } } },
    Window: { fields: { tree: { type: 'Tree', id: 11 } } },
    Forest: { fields: { windows: { rule: 'repeated', type: 'Window', id: 1 } } },
  },
}).lookupType('Forest');

function int(id: number) {
  return { type: 'int32', id };
}

interface Forest {
  readonly windows?: readonly {
    readonly tree?: {
      readonly nodes?: readonly {
        readonly boundsInScreen?: { left?: number; top?: number; right?: number; bottom?: number };
        readonly className?: string;
        readonly contentDescription?: string;
        readonly text?: string;
        readonly isClickable?: boolean;
        readonly isVisibleToUser?: boolean;
        readonly childIds?: readonly number[];
      }[];
    };
  }[];
}

export interface UiElements {
  readonly boxes: readonly UiBox[];
  readonly types: readonly string[];
  readonly texts: readonly string[];
}

/**
 * The visible elements of a serialized AndroidAccessibilityForest: leaves, and what can be clicked.
 * @throws Error if the bytes are no such message
 */
export function uiElements(bytes: Uint8Array, scale: PointForm['scale']): UiElements {
  const { windows = [] } = FOREST.toObject(FOREST.decode(bytes), { longs: Number }) as Forest;
  const found = windows
    .flatMap(({ tree }) => tree?.nodes ?? [])
    .filter(({ isVisibleToUser, isClickable, childIds = [] }) => isVisibleToUser && (isClickable || childIds.length === 0))
    .map(({ boundsInScreen = {}, className = '', contentDescription = '', text = '' }) => {
      const { left = 0, top = 0, right = 0, bottom = 0 } = boundsInScreen;
      return { left, top, right, bottom, type: className.split('.').at(-1)!, text: text === '' ? contentDescription : text };
    })
    .filter(({ left, top, right, bottom }) => right > left && bottom > top);
  return {
    boxes: found.map((edges) => edgesToBox(edges, scale)),
    types: found.map(({ type }) => type),
    texts: found.map(({ text }) => text),
  };
}
