import { LovageError, resultsNotConfigured, type Lovage, type SchemaManager } from '@lovage/core';

/** That of the results, and that of the broker where it is another. */
export async function schemaManagersOf(app: Lovage): Promise<readonly SchemaManager[]> {
  const { broker, results } = await app.settings();
  const backend = await app.resultBackend();
  const ofResults = backend?.capabilities.schema;
  const isOwn = broker.urls.length > 0 && (broker.urls[0] !== results?.url || broker.schema !== results?.schema);
  const ofBroker = isOwn ? (await app.transport()).capabilities.schema : undefined;
  const managers = [ofResults, ofBroker].flatMap((schema) => schema ?? []);
  if (managers.length > 0) return managers;
  if (backend === null) throw resultsNotConfigured('migrate works on the tables of stored results');
  throw new LovageError('LOVAGE_DRIVER', "this app's result backend has no schema: nothing to migrate");
}
