import { EventBus, LovageError } from '@lovage/core';
import { Outage } from './outage.js';

function outage(): { readonly told: string[]; readonly outage: Outage } {
  const events = new EventBus();
  const told: string[] = [];
  events.on('warning', ({ message }) => void told.push(message));
  return { told, outage: new Outage('the cellar cannot be read', events) };
}

it('is told once, until it works again', () => {
  const { told, outage: cellar } = outage();
  cellar.failed(new Error('dark'));
  cellar.failed(new Error('still dark'));
  cellar.worked();
  cellar.failed('dark again');
  expect(told).toEqual(['the cellar cannot be read: dark', 'the cellar cannot be read: dark again']);
});

it('is not told of a database that is away, nor at a stop', () => {
  const { told, outage: cellar } = outage();
  cellar.failed(new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away'));
  cellar.failed(new LovageError('LOVAGE_STOPPED', 'stopped'));
  expect(told).toEqual([]);
});
