/**
 * The clients of the Google Cloud SDK that are used, each from its own file: the package's entry point loads all hundred of them.
 * Loaded by `import()` at the first call. JavaScript with a declaration of its own beside it, since the SDK's declarations are 33 MB,
 * which every check of types would read.
 */
import firewalls from '@google-cloud/compute/build/src/v1/firewalls_client.js';
import globalOperations from '@google-cloud/compute/build/src/v1/global_operations_client.js';
import instances from '@google-cloud/compute/build/src/v1/instances_client.js';
import networks from '@google-cloud/compute/build/src/v1/networks_client.js';
import routes from '@google-cloud/compute/build/src/v1/routes_client.js';
import subnetworks from '@google-cloud/compute/build/src/v1/subnetworks_client.js';

export const { FirewallsClient } = firewalls;
export const { GlobalOperationsClient } = globalOperations;
export const { InstancesClient } = instances;
export const { NetworksClient } = networks;
export const { RoutesClient } = routes;
export const { SubnetworksClient } = subnetworks;
