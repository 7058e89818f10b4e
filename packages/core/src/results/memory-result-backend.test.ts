import { describeResultBackend } from '@lovage/testing';
import { MemoryResultBackend } from '../index.js';

describeResultBackend('memory', ({ expiresMs }) => ({ backend: new MemoryResultBackend({ expiresMs }) }));
